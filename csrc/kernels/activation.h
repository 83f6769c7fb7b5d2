// exp, sigmoid, tanh and elu without branches, so that loops over them become vector code. Errors are a few
// units in the last place of 1: good for activations, not for a relative error near zero.
#pragma once

#include <bit>
#include <cstdint>

#include "kernels/clones.h"

namespace op {

OP_INLINE float fast_exp(float x) {
  constexpr float kLow = -87.0f;  // beyond these the result would leave the normal numbers
  constexpr float kHigh = 88.0f;
  constexpr float kLog2e = 1.44269504f;
  constexpr float kLn2High = 0.693359375f;  // exact in few bits, so that the subtraction below is exact
  constexpr float kLn2Low = -2.12194440e-4f;
  constexpr float kRounder = 12582912.0f;  // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
  x = x < kLow ? kLow : x;
  x = x > kHigh ? kHigh : x;
  const float shifted = x * kLog2e + kRounder;
  const float whole = shifted - kRounder;
  const float rest = (x - whole * kLn2High) - whole * kLn2Low;
  float sum = 1.0f / 5040.0f;  // the series of exp, up to the seventh power
  sum = sum * rest + 1.0f / 720.0f;
  sum = sum * rest + 1.0f / 120.0f;
  sum = sum * rest + 1.0f / 24.0f;
  sum = sum * rest + 1.0f / 6.0f;
  sum = sum * rest + 0.5f;
  sum = sum * rest + 1.0f;
  sum = sum * rest + 1.0f;
  const std::uint32_t exponent = (std::bit_cast<std::uint32_t>(shifted) + 127u) << 23;
  return sum * std::bit_cast<float>(exponent);
}

OP_INLINE float fast_sigmoid(float x) { return 1.0f / (1.0f + fast_exp(-x)); }

OP_INLINE float fast_tanh(float x) { return 1.0f - 2.0f / (1.0f + fast_exp(2.0f * x)); }

OP_INLINE float fast_elu(float x) { return x > 0.0f ? x : fast_exp(x) - 1.0f; }

}  // namespace op
