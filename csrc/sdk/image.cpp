// From an 8-bit image to a tensor, in double until the last step. docs/bundle-format.md has the arithmetic.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "error.h"
#include "processing.h"

namespace dp {
namespace {

/// One channel, rows first.
struct Plane {
  std::int64_t height;
  std::int64_t width;
  std::vector<double> values;
};

/// What one new pixel takes from old ones: the first of them, and a weight for each.
struct Share {
  std::int64_t first;
  std::vector<double> weights;
};

void check(const dp_image& image) {
  const bool sizes = image.width > 0 && image.height > 0;
  const bool channels = image.channels == 1 || image.channels == 3 || image.channels == 4;
  if (image.pixels == nullptr || !sizes || !channels) {
    throw Error(DP_INVALID_ARGUMENT,
                "The image is " + std::to_string(image.width) + "x" + std::to_string(image.height) + " with " +
                    std::to_string(image.channels) + " channels" + (image.pixels == nullptr ? " and no pixels" : ""),
                "Give an image with 1, 3 or 4 channels.");
  }
  const std::int64_t row = std::int64_t{image.width} * image.channels;
  if (image.stride != 0 && image.stride < row) {
    throw Error(DP_INVALID_ARGUMENT,
                "A row of the image has " + std::to_string(row) + " bytes, more than the stride of " +
                    std::to_string(image.stride),
                "Give the bytes from row to row, or 0.");
  }
}

/// A channel of the tensor from the bytes of a pixel: itself, or of a coloured one its brightness (ITU-R BT.601).
double value_of(const std::uint8_t* pixel, int channels, bool gray, std::size_t channel) {
  if (channels == 1) return pixel[0];
  if (!gray) return pixel[channel];
  return 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2];
}

Plane plane_of(const dp_image& image, bool gray, std::size_t channel) {
  const std::int64_t stride = image.stride != 0 ? image.stride : std::int64_t{image.width} * image.channels;
  Plane plane{image.height, image.width, {}};
  plane.values.reserve(static_cast<std::size_t>(plane.height * plane.width));
  for (std::int64_t y = 0; y < plane.height; ++y) {
    const std::uint8_t* pixel = image.pixels + y * stride;
    for (std::int64_t x = 0; x < plane.width; ++x, pixel += image.channels) {
      plane.values.push_back(value_of(pixel, image.channels, gray, channel) / 255);
    }
  }
  return plane;
}

Share area(std::int64_t index, std::int64_t size, std::int64_t old) {
  const double begin = static_cast<double>(index * old) / static_cast<double>(size);
  const double end = static_cast<double>((index + 1) * old) / static_cast<double>(size);
  const double whole = static_cast<double>(old) / static_cast<double>(size);
  Share share{static_cast<std::int64_t>(begin), {}};
  for (std::int64_t i = share.first; i < old && static_cast<double>(i) < end; ++i) {
    const double overlap = std::min(end, static_cast<double>(i + 1)) - std::max(begin, static_cast<double>(i));
    share.weights.push_back(std::max(overlap, 0.0) / whole);
  }
  return share;
}

Share bilinear(std::int64_t index, std::int64_t size, std::int64_t old) {
  const double place = (static_cast<double>(index) + 0.5) * static_cast<double>(old) / static_cast<double>(size) - 0.5;
  const double centre = std::clamp(place, 0.0, static_cast<double>(old - 1));
  Share share{static_cast<std::int64_t>(centre), {}};
  for (std::int64_t i = share.first; i < old && i < share.first + 2; ++i) {
    share.weights.push_back(std::max(1 - std::abs(centre - static_cast<double>(i)), 0.0));
  }
  return share;
}

std::vector<Share> shares(std::int64_t size, std::int64_t old, bool is_area) {
  std::vector<Share> all;
  all.reserve(static_cast<std::size_t>(size));
  for (std::int64_t i = 0; i < size; ++i) all.push_back(is_area ? area(i, size, old) : bilinear(i, size, old));
  return all;
}

Plane resized_rows(const Plane& old, std::int64_t height, bool is_area) {
  Plane plane{height, old.width, std::vector<double>(static_cast<std::size_t>(height * old.width))};
  double* row = plane.values.data();
  for (const Share& share : shares(height, old.height, is_area)) {
    const double* from = old.values.data() + share.first * old.width;
    for (const double weight : share.weights) {
      for (std::int64_t x = 0; x < old.width; ++x) row[x] += weight * from[x];
      from += old.width;
    }
    row += old.width;
  }
  return plane;
}

Plane resized_columns(const Plane& old, std::int64_t width, bool is_area) {
  Plane plane{old.height, width, {}};
  plane.values.reserve(static_cast<std::size_t>(old.height * width));
  const std::vector<Share> all = shares(width, old.width, is_area);
  for (std::int64_t y = 0; y < old.height; ++y) {
    const double* row = old.values.data() + y * old.width;
    for (const Share& share : all) {
      double sum = 0;
      for (std::size_t i = 0; i < share.weights.size(); ++i) {
        sum += share.weights[i] * row[static_cast<std::size_t>(share.first) + i];
      }
      plane.values.push_back(sum);
    }
  }
  return plane;
}

}  // namespace

Tensor prepare_image(const dp_image& image, const ImageInfo& info) {
  check(image);
  const std::size_t channels = info.mean.size();
  Tensor tensor;
  for (std::size_t channel = 0; channel < channels; ++channel) {
    Plane plane = plane_of(image, channels == 1, channel);
    for (const Resize& step : info.resize) {
      plane = resized_columns(resized_rows(plane, step.height, step.area), step.width, step.area);
    }
    const auto count = static_cast<std::int64_t>(channels);
    if (channel == 0) {
      tensor = info.channels_last ? allocate(DP_FLOAT32, {1, plane.height, plane.width, count})
                                  : allocate(DP_FLOAT32, {1, count, plane.height, plane.width});
    }
    const std::size_t step = info.channels_last ? channels : 1;
    const std::size_t first = info.channels_last ? channel : channel * plane.values.size();
    for (std::size_t i = 0; i < plane.values.size(); ++i) {
      const auto value = static_cast<float>((plane.values[i] - info.mean[channel]) / info.std[channel]);
      std::memcpy(tensor.bytes.data() + (first + i * step) * sizeof value, &value, sizeof value);
    }
  }
  return tensor;
}

}  // namespace dp
