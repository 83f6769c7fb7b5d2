#include "inputs.h"

#include <cmath>
#include <cstring>
#include <map>

#include "error.h"
#include "text.h"

namespace dp {
namespace {

/// The size of each named axis, by the first input that has it.
using Sizes = std::map<std::string, std::int64_t>;

[[noreturn]] void refuse(const TensorInfo& info, const std::string& is, const std::string& cure) {
  throw Error(DP_INVALID_ARGUMENT, "Input '" + info.name + "' " + is, cure);
}

/// A tensor that is one at all.
View view_of(const TensorInfo& info, const dp_tensor& tensor) {
  const std::string rule = "It must be " + describe(info) + ".";
  if (tensor.dtype < DP_FLOAT32 || tensor.dtype > DP_BOOL) refuse(info, "has no dtype", rule);
  if (tensor.rank < 0 || tensor.rank > DP_MAX_RANK) refuse(info, "has " + std::to_string(tensor.rank) + " axes", rule);
  View view{tensor.dtype, {tensor.shape, tensor.shape + tensor.rank}, tensor.data};
  if (elements(view.shape) > 0 && view.data == nullptr) refuse(info, "has no data", rule);
  return view;
}

void check_shape(const TensorInfo& info, const View& view, Sizes& sizes) {
  const std::string wrong = "is " + describe(view.dtype, view.shape);
  if (view.dtype != info.dtype || view.shape.size() != info.axes.size()) {
    refuse(info, wrong, "It must be " + describe(info) + ".");
  }
  for (std::size_t i = 0; i < info.axes.size(); ++i) {
    const Axis& axis = info.axes[i];
    if (axis.max == kAnySize) continue;
    const bool same = axis.name.empty() || sizes.emplace(axis.name, view.shape[i]).first->second == view.shape[i];
    if (same && axis.min <= view.shape[i] && view.shape[i] <= axis.max) continue;
    const std::string range =
        axis.name.empty() ? ""
                          : " with " + axis.name + " " + std::to_string(axis.min) + " to " + std::to_string(axis.max);
    refuse(info, wrong, "It must be " + describe(info) + range + ".");
  }
}

template <class T>
bool finite(const View& view) {
  const auto count = static_cast<std::size_t>(elements(view.shape));
  for (std::size_t i = 0; i < count; ++i) {
    T value{};
    std::memcpy(&value, static_cast<const char*>(view.data) + i * sizeof(T), sizeof(T));
    if (!std::isfinite(value)) return false;
  }
  return true;
}

void check_finite(const TensorInfo& info, const View& view) {
  const bool wrong =
      (view.dtype == DP_FLOAT32 && !finite<float>(view)) || (view.dtype == DP_FLOAT64 && !finite<double>(view));
  if (wrong) {
    refuse(info, "holds NaN or infinity, for which an op of this model is undefined",
           "Clean the data before it reaches the model.");
  }
}

}  // namespace

std::vector<View> check_inputs(const Manifest& manifest, const dp_tensor* tensors, std::size_t count) {
  const std::vector<TensorInfo>& infos = manifest.inputs;
  if (count != infos.size()) {
    throw Error(DP_INVALID_ARGUMENT, std::to_string(count) + " inputs were given",
                "The model takes " + joined(names_of(infos)) + ".");
  }
  Sizes sizes;
  std::vector<View> views;
  for (std::size_t i = 0; i < count; ++i) {
    views.push_back(view_of(infos[i], tensors[i]));
    check_shape(infos[i], views.back(), sizes);
  }
  for (std::size_t i = 0; i < count && manifest.finite_inputs; ++i) check_finite(infos[i], views[i]);
  return views;
}

}  // namespace dp
