// Products of row-major float matrices. The right factor is packed into panels of 16 columns first, so that the
// inner loop reads memory in order; no sum is reordered, and any remainder of columns is padding.
#pragma once

#include <cstdint>
#include <memory>

namespace op::matrix {

/// A matrix whose element (i, j) is data[i * row + j * column].
struct Strided {
  const float* data = nullptr;
  std::int64_t row = 0;
  std::int64_t column = 1;
};

/// A matrix in panels: [columns / 16][depth][16].
class Panels {
 public:
  static constexpr std::int64_t kWidth = 16;

  Panels(std::int64_t depth, std::int64_t columns, Strided from);

  std::int64_t depth() const { return depth_; }
  std::int64_t columns() const { return columns_; }
  const float* panel(std::int64_t index) const { return data_.get() + index * depth_ * kWidth; }

 private:
  std::int64_t depth_;
  std::int64_t columns_;
  std::unique_ptr<float[]> data_;
};

/// c[m, n] += a[m, k] * b[k, n]; the rows of c are contiguous and c_row apart.
void multiply_add(std::int64_t rows, Strided a, const Panels& b, float* c, std::int64_t c_row);

}  // namespace op::matrix
