#include "kernels/matrix.h"

#include <algorithm>

namespace op::matrix {

OP_CLONES void multiply_add(std::int64_t rows, std::int64_t depth, std::int64_t columns, Strided a, const float* b,
                            std::int64_t b_row, float* c, std::int64_t c_row) {
  std::int64_t i = 0;
  for (; i + kTileRows <= rows; i += kTileRows) {
    strip<kTileRows>(depth, columns, {a.data + i * a.row, a.row, a.column}, b, b_row, c + i * c_row, c_row);
  }
  for (; i < rows; ++i) {
    strip<1>(depth, columns, {a.data + i * a.row, a.row, a.column}, b, b_row, c + i * c_row, c_row);
  }
}

void transpose(std::int64_t rows, std::int64_t columns, const float* from, float* to) {
  constexpr std::int64_t kBlock = 16;
  for (std::int64_t i = 0; i < rows; i += kBlock) {
    const std::int64_t end = std::min(rows, i + kBlock);
    for (std::int64_t j = 0; j < columns; ++j) {
      for (std::int64_t k = i; k < end; ++k) to[j * rows + k] = from[k * columns + j];
    }
  }
}

}  // namespace op::matrix
