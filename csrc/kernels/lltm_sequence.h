// A sequence through the recurrent cell, for inference and for training.
#pragma once

#include <cstdint>

#include "kernels/scratch.h"
#include "op.h"

namespace op::lltm {

inline constexpr std::int64_t kUnits = 16;          // hidden units of a panel
inline constexpr std::int64_t kWidth = 3 * kUnits;  // floats in a row of a panel

struct Sizes {
  std::int64_t steps;
  std::int64_t batch;
  std::int64_t inputs;
  std::int64_t hidden;
  std::int64_t panels = (hidden + kUnits - 1) / kUnits;
  std::int64_t panel = (hidden + inputs + 1) * kWidth;  // floats in it

  Sizes(const View<const float>& input, const View<const float>& h0)
      : steps(input.shape[0]), batch(input.shape[1]), inputs(input.shape[2]), hidden(h0.shape[1]) {}
};

struct Sequence {
  const float* input = nullptr;
  const float* h0 = nullptr;
  const float* c0 = nullptr;
  const float* weight = nullptr;  // panels
  float* output = nullptr;
  float* h = nullptr;
  float* c = nullptr;
  float* gates = nullptr;  // for training: [T,B,3H] and [T,B,H]
  float* cells = nullptr;
};

/// Packs [3H,H+I] and [3H] into panels.
Scratch pack(const Sizes& size, const float* weight, const float* bias, const Parallel& parallel);

void run(const Sizes& size, const Sequence& sequence, const Parallel& parallel);

/// The smallest piece of `count` things that is worth a thread, where one takes that many multiply-adds.
std::int64_t grain(std::int64_t multiply_adds);

}  // namespace op::lltm
