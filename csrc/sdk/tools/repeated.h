// Inputs of other sizes than those of the golden vectors: what they hold, again and again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "deploypipe/deploypipe.h"

namespace bench {

/// A tensor with its own data.
class Repeated {
 public:
  /// Makes an axis of a tensor so long; element i of it is element i modulo the old size.
  Repeated(const dp_tensor& from, std::int32_t axis, std::int64_t size);

  /// Valid while this object lives, wherever it is moved.
  dp_tensor tensor() const;

 private:
  dp_tensor tensor_;
  std::vector<std::byte> data_;
};

}  // namespace bench
