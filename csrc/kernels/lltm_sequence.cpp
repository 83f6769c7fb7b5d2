#include "kernels/lltm_sequence.h"

#include <algorithm>

#include "kernels/lltm_simd.h"
#include "kernels/matrix_simd.h"

namespace op::lltm {
namespace {

// With fewer rows the weights of the input are read once for a block of steps, not once for each step.
constexpr std::int64_t kRowsAlone = 8;
constexpr std::int64_t kBlock = 32;

/// Some rows of the batch on their way through the sequence.
class Rows {
 public:
  Rows(const Sizes& size, const Sequence& sequence, std::int64_t first, std::int64_t last, float* sums)
      : size_(size), seq_(sequence), first_(first), last_(last), sums_(sums) {}

  void run() const {
    for (std::int64_t step = 0; step < size_.steps; ++step) {
      if (sums_ != nullptr && step % kBlock == 0) project(step);
      make(step);
    }
    copy(size_.steps == 0 ? seq_.h0 : seq_.output + (size_.steps - 1) * states(), seq_.h);
    if (const float* c = cells(size_.steps); c != seq_.c) copy(c, seq_.c);
  }

 private:
  std::int64_t states() const { return size_.batch * size_.hidden; }

  void copy(const float* from, float* to) const {
    std::copy(from + first_ * size_.hidden, from + last_ * size_.hidden, to + first_ * size_.hidden);
  }

  /// The cell states before a step.
  const float* cells(std::int64_t step) const {
    if (step == 0) return seq_.c0;
    return seq_.cells == nullptr ? seq_.c : seq_.cells + (step - 1) * states();
  }

  /// The part of the sums that does not depend on the state: [row][panel][step][48] for a block of steps.
  void project(std::int64_t step) const {
    const std::int64_t steps = std::min(kBlock, size_.steps - step);
    const auto multiply = simd::kernels<simd::MatrixKernels>().multiply;
    for (std::int64_t i = first_ * size_.panels; i < last_ * size_.panels; ++i) {
      const float* x = seq_.input + (step * size_.batch + i / size_.panels) * size_.inputs;
      const float* weight = seq_.weight + i % size_.panels * size_.panel + size_.hidden * kWidth;
      const float* bias = weight + size_.inputs * kWidth;
      float* sums = sums_ + i * kBlock * kWidth;
      multiply({steps, kWidth, size_.inputs, x, size_.batch * size_.inputs, 1, weight, bias, 0, sums, kWidth});
    }
  }

  void make(std::int64_t step) const {
    const std::int64_t at = first_ * size_.hidden;
    const std::int64_t now = step * states() + at;
    simd::LltmStep s;
    s.rows = last_ - first_;
    s.hidden = size_.hidden;
    s.weight = seq_.weight;
    s.panel = size_.panel;
    s.h_old = step == 0 ? seq_.h0 + at : seq_.output + now - states();
    s.c_old = cells(step) + at;
    s.h = seq_.output + now;
    s.c = seq_.cells == nullptr ? seq_.c + at : seq_.cells + now;
    s.gates = seq_.gates == nullptr ? nullptr : seq_.gates + 3 * now;
    s.down = step % 2 == 1;
    start(step, s);
    simd::kernels<simd::LltmKernels>().step(s);
  }

  void start(std::int64_t step, simd::LltmStep& s) const {
    if (sums_ == nullptr) {
      s.inputs = size_.inputs;
      s.x = seq_.input + (step * size_.batch + first_) * size_.inputs;
      s.start = seq_.weight + size_.panel - kWidth;
      s.start_panel = size_.panel;
    } else {
      s.start = sums_ + (first_ * size_.panels * kBlock + step % kBlock) * kWidth;
      s.start_panel = kBlock * kWidth;
      s.start_row = size_.panels * kBlock * kWidth;
    }
  }

  const Sizes& size_;
  const Sequence& seq_;
  std::int64_t first_;
  std::int64_t last_;
  float* sums_;
};

/// Rows of the weight become columns of a panel, of which units that do not exist are zero.
void transpose(std::int64_t units, std::int64_t columns, const float* rows, float* panel) {
  for (std::int64_t k = 0; k < columns; ++k, panel += kWidth) {
    if (units == kUnits) {
      for (std::int64_t j = 0; j < kUnits; ++j) panel[j] = rows[j * columns + k];
    } else {
      for (std::int64_t j = 0; j < kUnits; ++j) panel[j] = j < units ? rows[j * columns + k] : 0.0f;
    }
  }
}

}  // namespace

std::int64_t grain(std::int64_t multiply_adds) {
  constexpr std::int64_t kWorth = 1'000'000;  // some 20 us
  return kWorth / std::max<std::int64_t>(1, multiply_adds) + 1;
}

Scratch pack(const Sizes& size, const float* weight, const float* bias, const Parallel& parallel) {
  const std::int64_t columns = size.hidden + size.inputs;
  Scratch packed(size.panels * size.panel);
  parallel(3 * size.panels, grain(4 * size.panel), [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t i = from; i < to; ++i) {
      const std::int64_t unit = i / 3 * kUnits;
      const std::int64_t row = i % 3 * size.hidden + unit;
      const std::int64_t units = std::min(kUnits, size.hidden - unit);
      float* panel = packed.get() + i / 3 * size.panel + i % 3 * kUnits;
      transpose(units, columns, weight + row * columns, panel);
      transpose(units, 1, bias + row, panel + columns * kWidth);
    }
  });
  return packed;
}

void run(const Sizes& size, const Sequence& sequence, const Parallel& parallel) {
  const bool alone = size.batch < kRowsAlone;
  const Scratch sums(alone ? size.batch * size.panels * kBlock * kWidth : 0);
  parallel(size.batch, grain(size.steps * size.panels * size.panel), [&](std::int64_t first, std::int64_t last) {
    Rows(size, sequence, first, last, alone ? sums.get() : nullptr).run();
  });
}

}  // namespace op::lltm
