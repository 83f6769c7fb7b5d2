// From a row of an output to the names of classes.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "error.h"
#include "processing.h"
#include "text.h"

namespace dp {
namespace {

double value_at(const dp_tensor& tensor, std::int64_t index) {
  if (tensor.dtype == DP_FLOAT64) return static_cast<const double*>(tensor.data)[index];
  return static_cast<const float*>(tensor.data)[index];
}

/// The values of a row, in double.
std::vector<double> row_of(const dp_tensor& output, std::int64_t row, std::size_t labels) {
  const std::vector<std::int64_t> shape(output.shape, output.shape + output.rank);
  const auto count = static_cast<std::int64_t>(labels);
  const bool floats = output.dtype == DP_FLOAT32 || output.dtype == DP_FLOAT64;
  if (!floats || shape.empty() || shape.back() != count) {
    throw Error(
        DP_INVALID_ARGUMENT,
        "The output is " + describe(output.dtype, shape) + " and there are " + std::to_string(labels) + " classes",
        "Give the results of this model.");
  }
  const std::int64_t rows = elements(shape) / count;
  if (row < 0 || row >= rows) {
    throw Error(DP_INVALID_ARGUMENT, "There is no row " + std::to_string(row),
                "The output has " + std::to_string(rows) + " rows.");
  }
  std::vector<double> values;
  values.reserve(labels);
  for (std::int64_t i = 0; i < count; ++i) values.push_back(value_at(output, row * count + i));
  return values;
}

void softmax(std::vector<double>& values) {
  const double most = *std::max_element(values.begin(), values.end());
  double sum = 0;
  for (double& value : values) sum += value = std::exp(value - most);
  for (double& value : values) value /= sum;
}

/// The more probable first, of equals the one of the smaller index; what is not a number comes last.
bool before(const Class& a, const Class& b) {
  const bool unknown_a = std::isnan(a.probability);
  const bool unknown_b = std::isnan(b.probability);
  if (unknown_a != unknown_b) return unknown_b;
  if (unknown_a || a.probability == b.probability) return a.index < b.index;
  return a.probability > b.probability;
}

}  // namespace

std::vector<Class> classes_of(const dp_tensor& output, std::int64_t row, const ClassInfo& info) {
  std::vector<double> values = row_of(output, row, info.labels.size());
  if (info.softmax) softmax(values);
  std::vector<Class> classes;
  classes.reserve(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) classes.push_back({i, values[i]});
  std::sort(classes.begin(), classes.end(), before);
  return classes;
}

}  // namespace dp
