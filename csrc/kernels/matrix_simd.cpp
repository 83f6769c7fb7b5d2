#include "kernels/matrix_simd.h"

#include "kernels/tile.h"

namespace op::simd {
namespace {

constexpr auto kWidth = static_cast<std::int64_t>(kTile);

template <int kRows, int kGroups>
HWY_INLINE void set_out(const Product& p, std::int64_t row, std::int64_t column, Sums<kRows, 1, kGroups>& sums) {
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
    for (int g = 0; g < kGroups; ++g) {
      const std::int64_t at = column + g * kWidth;
      sums[i][0][g] =
          p.start == nullptr ? hn::Zero(Floats()) : load(p.start + (row + i) * p.start_row + at, p.columns - at);
    }
  }
}

template <int kRows, int kGroups>
HWY_INLINE void write(const Product& p, std::int64_t row, std::int64_t column, const Sums<kRows, 1, kGroups>& sums) {
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
    for (int g = 0; g < kGroups; ++g) {
      const std::int64_t at = column + g * kWidth;
      store(sums[i][0][g], p.c + (row + i) * p.c_row + at, p.columns - at);
    }
  }
}

template <int kRows, int kGroups>
HWY_INLINE void tile(const Product& p, std::int64_t row, std::int64_t column) {
  Sums<kRows, 1, kGroups> sums;
  set_out(p, row, column, sums);
  const float* a = p.a + row * p.a_row;
  if (p.a_column == 1) {
    accumulate(sums, p.depth, {a, p.a_row, 1}, p.b + column, 0);
  } else {
    accumulate(sums, p.depth, {a, 1, p.a_column}, p.b + column, 0);
  }
  write(p, row, column, sums);
}

/// The rows from `row` on, in tiles of kRows; what is left goes into a smaller one.
template <int kGroups, int kRows = kTileRows>
HWY_INLINE void strip(const Product& p, std::int64_t row, std::int64_t column) {
  for (; row + kRows <= p.rows; row += kRows) tile<kRows, kGroups>(p, row, column);
  if constexpr (kRows > 1) {
    if (row < p.rows) strip<kGroups, kRows - 1>(p, row, column);
  }
}

template <int kGroups>
void panel(const Product& p) {
  for (std::int64_t column = 0; column < kWidth; column += static_cast<std::int64_t>(kLanes)) {
    strip<kGroups>(p, 0, column);
  }
}

void multiply(const Product& p) {
  if (p.columns > 2 * kWidth) return panel<3>(p);
  if (p.columns > kWidth) return panel<2>(p);
  panel<1>(p);
}

void add_rows(std::int64_t rows, std::int64_t columns, const float* a, std::int64_t a_row, float* c) {
  for (std::int64_t column = 0; column < columns; column += static_cast<std::int64_t>(kLanes)) {
    const std::int64_t count = columns - column;
    Vector sum = load(c + column, count);
    for (std::int64_t row = 0; row < rows; ++row) sum = hn::Add(sum, load(a + row * a_row + column, count));
    store(sum, c + column, count);
  }
}

}  // namespace

constinit const MatrixKernels Compiled<MatrixKernels, Isa::OP_ISA>::table = {multiply, add_rows};

}  // namespace op::simd
