#include "parity.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace dp {
namespace {

template <class T>
std::vector<double> values_of(const Tensor& tensor) {
  std::vector<double> values(tensor.bytes.size() / sizeof(T));
  for (std::size_t i = 0; i < values.size(); ++i) {
    T value{};
    std::memcpy(&value, tensor.bytes.data() + i * sizeof(T), sizeof(T));
    values[i] = value;
  }
  return values;
}

std::vector<double> doubles(const Tensor& tensor) {
  return tensor.dtype == DP_FLOAT64 ? values_of<double>(tensor) : values_of<float>(tensor);
}

double mean_square(const std::vector<double>& values, double centre) {
  double sum = 0;
  for (const double value : values) sum += (value - centre) * (value - centre);
  return sum / static_cast<double>(values.size());
}

/// What the error is held against: the spread of the reference, of a constant one its magnitude, of zeros one.
double scale_of(const std::vector<double>& reference) {
  double sum = 0;
  for (const double value : reference) sum += value;
  const double spread = std::sqrt(mean_square(reference, sum / static_cast<double>(reference.size())));
  if (spread != 0) return spread;
  const double magnitude = std::sqrt(mean_square(reference, 0));
  return magnitude != 0 ? magnitude : 1;
}

double normalized_error(const Tensor& output, const Tensor& reference) {
  std::vector<double> differences;
  std::vector<double> finite;
  const std::vector<double> given = doubles(output);
  const std::vector<double> wanted = doubles(reference);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const bool same = given[i] == wanted[i] || (std::isnan(given[i]) && std::isnan(wanted[i]));
    if (!std::isfinite(wanted[i]) && same) continue;
    if (!std::isfinite(wanted[i]) || !std::isfinite(given[i])) return std::numeric_limits<double>::infinity();
    finite.push_back(wanted[i]);
    differences.push_back(given[i] - wanted[i]);
  }
  return finite.empty() ? 0 : std::sqrt(mean_square(differences, 0)) / scale_of(finite);
}

double unequal_share(const Tensor& output, const Tensor& reference) {
  const std::size_t size = size_of(reference.dtype);
  const std::size_t count = reference.bytes.size() / size;
  std::size_t unequal = 0;
  for (std::size_t i = 0; i < count; ++i) {
    unequal += std::memcmp(output.bytes.data() + i * size, reference.bytes.data() + i * size, size) != 0 ? 1 : 0;
  }
  return count == 0 ? 0 : static_cast<double>(unequal) / static_cast<double>(count);
}

constexpr Metric kNormalizedError = {"normalized_error", normalized_error, true};
constexpr Metric kUnequalShare = {"unequal_share", unequal_share, false};

}  // namespace

const Metric& metric_for(const Tensor& reference) {
  const bool floats = reference.dtype == DP_FLOAT32 || reference.dtype == DP_FLOAT64;
  return floats ? kNormalizedError : kUnequalShare;
}

}  // namespace dp
