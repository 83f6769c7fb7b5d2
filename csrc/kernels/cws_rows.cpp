#include "kernels/cws_rows.h"

#include <algorithm>

namespace op::cws {
namespace {

constexpr std::int64_t kSlack = 16;  // the kernels write whole vectors

}  // namespace

Rows::Rows(std::int64_t capacity, std::int64_t size)
    : size_(size),
      step_(size + kSlack),
      logs_(scratch<float>(capacity * step_)),
      places_(scratch<std::int32_t>(capacity * step_)),
      rows_(scratch<simd::CwsRow>(capacity)) {}

void Rows::read(const float* weights, std::int64_t count, const Parallel& parallel) {
  count_ = count;
  const std::int64_t grain = std::max<std::int64_t>(1, 40000 / std::max<std::int64_t>(1, size_));
  parallel(count, grain, [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t b = from; b < to; ++b) {
      rows_[static_cast<std::size_t>(b)] = {logs_.get() + b * step_, places_.get() + b * step_, 0};
      simd::kernels<simd::CwsKernels>().read(weights + b * size_, size_, &rows_[static_cast<std::size_t>(b)]);
    }
  });
}

std::int64_t Rows::nonzeros() const {
  std::int64_t sum = 0;
  for (const simd::CwsRow& row : get()) sum += row.count;
  return sum;
}

std::span<const std::int32_t> Rows::rank() {
  if (ranks_ == nullptr) {
    ranks_ = scratch<std::int32_t>(size_);
    names_ = scratch<std::int32_t>(size_);
  }
  std::fill_n(ranks_.get(), size_, -1);
  for (const simd::CwsRow& row : get()) {
    for (std::int32_t n = 0; n < row.count; ++n) ranks_[static_cast<std::size_t>(row.place[n])] = 0;
  }
  std::int32_t next = 0;
  for (std::int32_t place = 0; place < size_; ++place) {
    std::int32_t& rank = ranks_[static_cast<std::size_t>(place)];
    if (rank < 0) continue;
    rank = next++;
    names_[static_cast<std::size_t>(rank)] = place;
  }
  for (const simd::CwsRow& row : get()) {
    for (std::int32_t n = 0; n < row.count; ++n) row.place[n] = ranks_[static_cast<std::size_t>(row.place[n])];
  }
  return {names_.get(), static_cast<std::size_t>(next)};
}

}  // namespace op::cws
