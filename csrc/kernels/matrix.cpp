#include "kernels/matrix.h"

#include <algorithm>

namespace op::matrix {
namespace {

constexpr std::int64_t kWidth = 48;

std::int64_t padded(std::int64_t columns) { return (columns + 15) / 16 * 16; }

}  // namespace

Panels::Panels(std::int64_t depth, std::int64_t columns)
    : depth_(depth), columns_(columns), data_(depth * padded(columns)) {}

void Panels::set_row(std::int64_t k, const float* from) const {
  for (std::int64_t column = 0; column < columns_; column += kWidth) {
    const std::int64_t width = std::min(kWidth, columns_ - column);
    float* to = data_.get() + column * depth_ + k * padded(width);
    std::copy_n(from + column, width, to);
    std::fill(to + width, to + padded(width), 0.0f);
  }
}

void Panels::multiply(std::int64_t rows, std::int64_t depth, const float* a, std::int64_t a_row, std::int64_t a_column,
                      const float* start, float* c, std::int64_t c_row) const {
  const auto kernel = simd::kernels<simd::MatrixKernels>().multiply;
  for (std::int64_t column = 0; column < columns_; column += kWidth) {
    const float* from = start == nullptr ? nullptr : start + column;
    kernel({rows, std::min(kWidth, columns_ - column), depth, a, a_row, a_column, data_.get() + column * depth_, from,
            c_row, c + column, c_row});
  }
}

void add_rows(std::int64_t rows, std::int64_t columns, const float* a, std::int64_t a_row, float* c) {
  simd::kernels<simd::MatrixKernels>().add_rows(rows, columns, a, a_row, c);
}

}  // namespace op::matrix
