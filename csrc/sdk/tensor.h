// Tensors inside the SDK.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "deploypipe/deploypipe.h"

namespace dp {

/// The largest size of an axis that has a name and no range.
inline constexpr std::int64_t kAnySize = std::numeric_limits<std::int64_t>::max();

/// A dense row-major tensor that owns its bytes.
struct Tensor {
  dp_dtype dtype = DP_FLOAT32;
  std::vector<std::int64_t> shape;
  std::vector<std::byte> bytes;
};

/// A dense row-major tensor whose bytes belong to somebody else.
struct View {
  dp_dtype dtype = DP_FLOAT32;
  std::vector<std::int64_t> shape;
  const void* data = nullptr;
};

/// An input or output as the manifest has it: a fixed axis has no name.
struct Axis {
  std::string name;
  std::int64_t min = 0;
  std::int64_t max = 0;
};

struct TensorInfo {
  std::string name;
  dp_dtype dtype = DP_FLOAT32;
  std::vector<Axis> axes;
};

/// Bytes of one element, 0 where there is no such dtype.
std::size_t size_or_zero(dp_dtype dtype);

/// Bytes of one element; throws Error where there is no such dtype.
std::size_t size_of(dp_dtype dtype);

/// Number of elements; throws Error where it does not fit into 63 bits or a size is negative.
std::int64_t elements(const std::vector<std::int64_t>& shape);

/// A tensor of this shape, its bytes zero; throws Error where its size overflows.
Tensor allocate(dp_dtype dtype, const std::vector<std::int64_t>& shape);

}  // namespace dp
