#include "tensor.h"

#include <limits>

#include "error.h"

namespace dp {

std::size_t size_or_zero(dp_dtype dtype) {
  switch (dtype) {
    case DP_FLOAT64:
    case DP_INT64:
      return 8;
    case DP_FLOAT32:
    case DP_INT32:
      return 4;
    case DP_INT8:
    case DP_UINT8:
    case DP_BOOL:
      return 1;
  }
  return 0;
}

std::size_t size_of(dp_dtype dtype) {
  if (const std::size_t size = size_or_zero(dtype); size != 0) return size;
  throw Error(DP_INVALID_ARGUMENT, "There is no dtype " + std::to_string(dtype), "Take one of dp_dtype.");
}

std::int64_t elements(const std::vector<std::int64_t>& shape) {
  std::int64_t count = 1;
  bool empty = false;
  for (const std::int64_t size : shape) {
    if (size < 0) throw Error(DP_INVALID_ARGUMENT, "A tensor has a negative size: " + std::to_string(size));
    if (size == 0) {
      empty = true;
    } else if (__builtin_mul_overflow(count, size, &count)) {
      throw Error(DP_INVALID_ARGUMENT, "The number of elements of a tensor overflows");
    }
  }
  return empty ? 0 : count;
}

Tensor allocate(dp_dtype dtype, const std::vector<std::int64_t>& shape) {
  std::int64_t bytes = 0;
  if (__builtin_mul_overflow(elements(shape), static_cast<std::int64_t>(size_of(dtype)), &bytes)) {
    throw Error(DP_INVALID_ARGUMENT, "The bytes of a tensor overflow");
  }
  return {dtype, shape, std::vector<std::byte>(static_cast<std::size_t>(bytes))};
}

}  // namespace dp
