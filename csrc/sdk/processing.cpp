#include "processing.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "error.h"
#include "text.h"

namespace dp {
namespace {

constexpr std::int64_t kMaxSide = 16384;
constexpr std::size_t kMaxSteps = 8;
constexpr std::int64_t kOfImage = -1;  ///< A size that each image decides.

/// Whether the second of the two words that may stand there does.
bool second_of(const Node& node, const char* first, const char* second) {
  const std::string word = node.text();
  if (word != first && word != second) {
    node.refuse("Input should be '" + std::string(first) + "' or '" + second + "'");
  }
  return word == second;
}

void expect_kind(const Node& node, const char* kind) {
  if (node.has("kind") && node.at("kind").text() != kind) {
    node.at("kind").refuse("Input should be '" + std::string(kind) + "'");
  }
}

std::int64_t side_of(const Node& node) {
  const std::int64_t side = node.integer();
  if (side < 1 || side > kMaxSide) node.refuse("Input should be 1 to " + std::to_string(kMaxSide));
  return side;
}

std::vector<double> channels_of(const Node& node, std::size_t channels, bool positive) {
  std::vector<double> values;
  for (const Node& each : node.items()) {
    values.push_back(each.number());
    if (!std::isfinite(values.back()) || (positive && values.back() <= 0))
      each.refuse("Input should be greater than 0");
  }
  if (values.size() != channels) node.refuse("There should be one for each channel");
  return values;
}

ImageInfo image_of(const Node& node) {
  expect_kind(node, "image");
  ImageInfo info;
  const std::size_t channels = second_of(node.at("color"), "gray", "rgb") ? 3 : 1;
  info.channels_last = node.has("layout") && second_of(node.at("layout"), "NCHW", "NHWC");
  info.mean = channels_of(node.at("mean"), channels, false);
  info.std = channels_of(node.at("std"), channels, true);
  if (!node.has("resize")) return info;
  for (const Node& step : node.at("resize").items()) {
    const bool area = second_of(step.at("method"), "bilinear", "area");
    info.resize.push_back({side_of(step.at("height")), side_of(step.at("width")), area});
  }
  if (info.resize.size() > kMaxSteps) node.at("resize").refuse("There are more than 8 steps");
  return info;
}

ClassInfo classes_info_of(const Node& node) {
  expect_kind(node, "classes");
  ClassInfo info;
  for (const Node& label : node.at("labels").items()) info.labels.push_back(label.text());
  if (info.labels.empty()) node.at("labels").refuse("There should be one at least");
  info.softmax = !node.has("softmax") || node.at("softmax").flag();
  return info;
}

const TensorInfo& named(const std::string& name, const std::vector<TensorInfo>& infos, const char* side) {
  for (const TensorInfo& info : infos) {
    if (info.name == name) return info;
  }
  throw Error(DP_BAD_BUNDLE, std::string("The processing names an unknown ") + side + " '" + name + "'",
              "Known are: " + joined(names_of(infos)) + ".");
}

std::array<std::int64_t, 4> shape_of(const ImageInfo& image) {
  const auto channels = static_cast<std::int64_t>(image.mean.size());
  const std::int64_t height = image.resize.empty() ? kOfImage : image.resize.back().height;
  const std::int64_t width = image.resize.empty() ? kOfImage : image.resize.back().width;
  if (image.channels_last) return {1, height, width, channels};
  return {1, channels, height, width};
}

bool takes(const Axis& axis, std::int64_t size) { return size == kOfImage || (axis.min <= size && size <= axis.max); }

void check_image(const TensorInfo& info, const ImageInfo& image) {
  const auto shape = shape_of(image);
  const bool fits = std::equal(info.axes.begin(), info.axes.end(), shape.begin(), shape.end(), takes);
  if (fits && info.dtype == DP_FLOAT32) return;
  std::vector<std::string> sizes;
  sizes.reserve(shape.size());
  for (const std::int64_t size : shape) sizes.push_back(size == kOfImage ? "any" : std::to_string(size));
  throw Error(DP_BAD_BUNDLE, "The processing gives float32[" + joined(sizes, ",") + "] to " + describe(info),
              "Correct its layout, color or resize.");
}

void check_classes(const TensorInfo& info, const ClassInfo& classes) {
  const auto count = static_cast<std::int64_t>(classes.labels.size());
  const bool is_float = info.dtype == DP_FLOAT32 || info.dtype == DP_FLOAT64;
  if (is_float && !info.axes.empty() && info.axes.back().name.empty() && info.axes.back().min == count) return;
  throw Error(DP_BAD_BUNDLE, "The processing has " + std::to_string(count) + " labels for " + describe(info),
              "Give one label for each value of the last axis, which is a float of fixed size.");
}

}  // namespace

void read_processing(const Node& node, Manifest& manifest) {
  if (node.has("inputs")) {
    for (const auto& [name, each] : node.at("inputs").members()) {
      const ImageInfo& image = manifest.images[name] = image_of(each);
      check_image(named(name, manifest.inputs, "input"), image);
    }
  }
  if (!node.has("outputs")) return;
  for (const auto& [name, each] : node.at("outputs").members()) {
    const ClassInfo& classes = manifest.classes[name] = classes_info_of(each);
    check_classes(named(name, manifest.outputs, "output"), classes);
  }
}

}  // namespace dp
