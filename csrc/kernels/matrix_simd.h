// Products of float matrices.
#pragma once

#include "simd/isa.h"

namespace op::simd {

/// c = start + a * b for one panel of b. All sizes and distances are in elements.
struct Product {
  std::int64_t rows;
  std::int64_t columns;  // of b and c, at most 48
  std::int64_t depth;
  const float* a;
  std::int64_t a_row;     // distance of rows
  std::int64_t a_column;  // and of columns; one of the two is 1
  const float* b;         // [depth][columns rounded up to 16]
  const float* start;     // [rows][columns], or nullptr for zeros; may be c
  std::int64_t start_row;
  float* c;
  std::int64_t c_row;
};

struct MatrixKernels {
  void (*multiply)(const Product& product);
  /// c[j] += the sum of column j of a[rows, columns].
  void (*add_rows)(std::int64_t rows, std::int64_t columns, const float* a, std::int64_t a_row, float* c);
};
OP_SIMD_TABLES(MatrixKernels)

}  // namespace op::simd
