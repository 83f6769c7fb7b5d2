#include "kernels/matrix.h"

#include <algorithm>
#include <cstring>

#include "kernels/clones.h"

namespace op::matrix {
namespace {

constexpr std::int64_t kWidth = Panels::kWidth;
constexpr std::int64_t kVectors = 2;  // of 8 floats, in a panel's row

// Compilers make one or two instructions of an operation on it, whatever the processor's registers are.
using Vector = float __attribute__((vector_size(32)));

/// `kRows` rows of a times `kPanels` panels of b, added to c; the sums stay in registers.
template <int kRows, int kPanels>
OP_INLINE void tile(std::int64_t depth, Strided a, const float* b, float* c, std::int64_t c_row) {
  Vector sum[kRows][kPanels * kVectors];
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) std::memcpy(sum[i], c + i * c_row, sizeof(sum[i]));
  for (std::int64_t k = 0; k < depth; ++k) {
    Vector row[kPanels * kVectors];
#pragma GCC unroll 8
    for (int p = 0; p < kPanels; ++p) {
      std::memcpy(row + p * kVectors, b + (p * depth + k) * kWidth, kWidth * sizeof(float));
    }
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) {
      const float factor = a.data[i * a.row + k * a.column];
#pragma GCC unroll 8
      for (int v = 0; v < kPanels * kVectors; ++v) sum[i][v] += row[v] * factor;
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) std::memcpy(c + i * c_row, sum[i], sizeof(sum[i]));
}

/// A tile whose panel is wider than what is left of c.
template <int kRows>
OP_INLINE void last_tile(std::int64_t depth, std::int64_t columns, Strided a, const float* b, float* c,
                         std::int64_t c_row) {
  float whole[kRows * kWidth] = {};
  for (int i = 0; i < kRows; ++i) std::copy_n(c + i * c_row, columns, whole + i * kWidth);
  tile<kRows, 1>(depth, a, b, whole, kWidth);
  for (int i = 0; i < kRows; ++i) std::copy_n(whole + i * kWidth, columns, c + i * c_row);
}

OP_INLINE Strided skip(Strided a, std::int64_t rows) { return {a.data + rows * a.row, a.row, a.column}; }

/// One or two rows of a times all of b, several panels at a time to have enough independent sums.
template <int kRows, int kPanels>
OP_INLINE void strip(Strided a, const Panels& b, float* c, std::int64_t c_row) {
  const std::int64_t whole = b.columns() / kWidth;
  std::int64_t p = 0;
  for (; p + kPanels <= whole; p += kPanels) {
    tile<kRows, kPanels>(b.depth(), a, b.panel(p), c + p * kWidth, c_row);
  }
  for (; p < whole; ++p) tile<kRows, 1>(b.depth(), a, b.panel(p), c + p * kWidth, c_row);
  const std::int64_t rest = b.columns() - whole * kWidth;
  if (rest > 0) last_tile<kRows>(b.depth(), rest, a, b.panel(p), c + p * kWidth, c_row);
}

/// All rows of a times one panel of b, which stays in the nearest cache meanwhile.
OP_INLINE void column(std::int64_t rows, Strided a, const Panels& b, std::int64_t p, float* c, std::int64_t c_row) {
  const std::int64_t width = std::min(kWidth, b.columns() - p * kWidth);
  std::int64_t i = 0;
  for (; width == kWidth && i + 4 <= rows; i += 4) tile<4, 1>(b.depth(), skip(a, i), b.panel(p), c + i * c_row, c_row);
  for (; i + 4 <= rows; i += 4) last_tile<4>(b.depth(), width, skip(a, i), b.panel(p), c + i * c_row, c_row);
  for (; i < rows; ++i) last_tile<1>(b.depth(), width, skip(a, i), b.panel(p), c + i * c_row, c_row);
}

OP_CLONES void multiply_panels(std::int64_t rows, Strided a, const Panels& b, float* c, std::int64_t c_row) {
  std::int64_t i = 0;
  if (rows < 4) {
    for (; i + 2 <= rows; i += 2) strip<2, 2>(skip(a, i), b, c + i * c_row, c_row);
    for (; i < rows; ++i) strip<1, 4>(skip(a, i), b, c + i * c_row, c_row);
    return;
  }
  for (std::int64_t p = 0; p * kWidth < b.columns(); ++p) column(rows, a, b, p, c + p * kWidth, c_row);
}

}  // namespace

Panels::Panels(std::int64_t depth, std::int64_t columns, Strided from)
    : depth_(depth),
      columns_(columns),
      data_(std::make_unique_for_overwrite<float[]>(
          static_cast<std::size_t>(depth * ((columns + kWidth - 1) / kWidth * kWidth)))) {
  float* to = data_.get();
  for (std::int64_t first = 0; first < columns; first += kWidth) {
    const std::int64_t width = std::min(kWidth, columns - first);
    for (std::int64_t k = 0; k < depth; ++k, to += kWidth) {
      const float* row = from.data + k * from.row + first * from.column;
      for (std::int64_t j = 0; j < width; ++j) to[j] = row[j * from.column];
      std::fill(to + width, to + kWidth, 0.0f);
    }
  }
}

void multiply_add(std::int64_t rows, Strided a, const Panels& b, float* c, std::int64_t c_row) {
  multiply_panels(rows, a, b, c, c_row);
}

}  // namespace op::matrix
