// Products of row-major float matrices, for the kernels here: no packing beyond a transposition, tiles whose
// inner loop a compiler turns into vector instructions without reordering any sum.
#pragma once

#include <cstdint>

#include "kernels/clones.h"

namespace op::matrix {

/// A matrix whose element (i, j) is data[i * row + j * column].
struct Strided {
  const float* data;
  std::int64_t row;
  std::int64_t column = 1;
};

inline constexpr std::int64_t kTileRows = 4;
inline constexpr std::int64_t kTileColumns = 16;

/// c[m, n] += a[m, k] * b[k, n] for one tile that fits; the sums stay in registers.
template <std::int64_t kRows, std::int64_t kColumns>
OP_INLINE void tile(std::int64_t depth, Strided a, const float* b, std::int64_t b_row, float* c, std::int64_t c_row) {
  float sum[kRows][kColumns];
  for (std::int64_t i = 0; i < kRows; ++i) {
    for (std::int64_t j = 0; j < kColumns; ++j) sum[i][j] = c[i * c_row + j];
  }
  for (std::int64_t k = 0; k < depth; ++k) {
    for (std::int64_t i = 0; i < kRows; ++i) {
      const float factor = a.data[i * a.row + k * a.column];
      for (std::int64_t j = 0; j < kColumns; ++j) sum[i][j] += factor * b[k * b_row + j];
    }
  }
  for (std::int64_t i = 0; i < kRows; ++i) {
    for (std::int64_t j = 0; j < kColumns; ++j) c[i * c_row + j] = sum[i][j];
  }
}

/// The same for what is left at the right edge.
OP_INLINE void edge(std::int64_t rows, std::int64_t depth, std::int64_t columns, Strided a, const float* b,
                    std::int64_t b_row, float* c, std::int64_t c_row) {
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t k = 0; k < depth; ++k) {
      const float factor = a.data[i * a.row + k * a.column];
      for (std::int64_t j = 0; j < columns; ++j) c[i * c_row + j] += factor * b[k * b_row + j];
    }
  }
}

template <std::int64_t kRows>
OP_INLINE void strip(std::int64_t depth, std::int64_t columns, Strided a, const float* b, std::int64_t b_row, float* c,
                     std::int64_t c_row) {
  std::int64_t j = 0;
  for (; j + kTileColumns <= columns; j += kTileColumns) {
    tile<kRows, kTileColumns>(depth, a, b + j, b_row, c + j, c_row);
  }
  edge(kRows, depth, columns - j, a, b + j, b_row, c + j, c_row);
}

/// c[m, n] += a[m, k] * b[k, n], with the rows of b and c contiguous.
void multiply_add(std::int64_t rows, std::int64_t depth, std::int64_t columns, Strided a, const float* b,
                  std::int64_t b_row, float* c, std::int64_t c_row);

/// to[j, i] = from[i, j].
void transpose(std::int64_t rows, std::int64_t columns, const float* from, float* to);

}  // namespace op::matrix
