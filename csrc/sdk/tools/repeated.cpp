#include "repeated.h"

#include <cstring>

namespace bench {
namespace {

std::size_t product(const dp_tensor& tensor, std::int32_t first, std::int32_t last) {
  std::size_t count = 1;
  for (std::int32_t axis = first; axis < last; ++axis) count *= static_cast<std::size_t>(tensor.shape[axis]);
  return count;
}

}  // namespace

Repeated::Repeated(const dp_tensor& from, std::int32_t axis, std::int64_t size) : tensor_(from) {
  const auto before = static_cast<std::size_t>(from.shape[axis]);
  const auto after = static_cast<std::size_t>(size);
  const std::size_t outer = product(from, 0, axis);
  const std::size_t inner = product(from, axis + 1, from.rank) * dp_dtype_size(from.dtype);
  tensor_.shape[axis] = size;
  data_.resize(outer * after * inner);
  const auto* source = static_cast<const std::byte*>(from.data);
  std::byte* target = data_.data();
  for (std::size_t row = 0; row < outer; ++row, source += before * inner) {
    for (std::size_t i = 0; i < after; ++i, target += inner) std::memcpy(target, source + (i % before) * inner, inner);
  }
}

dp_tensor Repeated::tensor() const {
  dp_tensor tensor = tensor_;
  tensor.data = data_.data();
  return tensor;
}

}  // namespace bench
