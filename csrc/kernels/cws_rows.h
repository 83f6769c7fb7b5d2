// Rows of weights as cws reads them.
#pragma once

#include <memory>
#include <span>

#include "kernels/cws_simd.h"
#include "op.h"

namespace op::cws {

/// Memory without values.
template <class T>
std::unique_ptr<T[]> scratch(std::int64_t size) {
  return std::make_unique_for_overwrite<T[]>(static_cast<std::size_t>(size));
}

/// The nonzero weights of some rows.
class Rows {
 public:
  Rows(std::int64_t capacity, std::int64_t size);

  /// Reads rows, at most as many as there is room for.
  void read(const float* weights, std::int64_t count, const Parallel& parallel);

  std::span<const simd::CwsRow> get() const { return {rows_.get(), static_cast<std::size_t>(count_)}; }
  std::int64_t nonzeros() const;

  /// Replaces the places by their ranks among all places that occur; returns these places.
  std::span<const std::int32_t> rank();

 private:
  std::int64_t size_;
  std::int64_t step_;
  std::int64_t count_ = 0;
  std::unique_ptr<float[]> logs_;
  std::unique_ptr<std::int32_t[]> places_;
  std::unique_ptr<simd::CwsRow[]> rows_;
  std::unique_ptr<std::int32_t[]> ranks_;
  std::unique_ptr<std::int32_t[]> names_;
};

}  // namespace op::cws
