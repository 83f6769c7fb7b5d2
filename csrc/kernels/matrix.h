// Products of row-major float matrices. The right factor is packed into panels first, so that the inner loop reads
// memory in order.
#pragma once

#include <cstdint>

#include "kernels/matrix_simd.h"
#include "kernels/scratch.h"

namespace op::matrix {

/// A matrix in panels of 48 columns, [columns / 48][depth][48]; the last one may be 32 or 16 wide.
class Panels {
 public:
  Panels(std::int64_t depth, std::int64_t columns);

  std::int64_t columns() const { return columns_; }
  void set_row(std::int64_t k, const float* from) const;

  /// c[rows, columns] = start + a * b over the first `depth` rows of b; `start` is nullptr for zeros, or c.
  void multiply(std::int64_t rows, std::int64_t depth, const float* a, std::int64_t a_row, std::int64_t a_column,
                const float* start, float* c, std::int64_t c_row) const;

 private:
  std::int64_t depth_;
  std::int64_t columns_;
  Scratch data_;
};

/// c[j] += the sum of column j of a[rows, columns].
void add_rows(std::int64_t rows, std::int64_t columns, const float* a, std::int64_t a_row, float* c);

}  // namespace op::matrix
