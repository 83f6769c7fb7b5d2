// The pointwise part of the cell on vectors, with one exponential per activation and two divisions instead of three:
//   c' = c + elu(g) / (1 + exp(-i));  h' = o * tanh(c') = (exp(2c') - 1) / ((1 + exp(-o)) * (exp(2c') + 1))
#pragma once

#include "simd/vector.h"

namespace op::simd {
namespace {

constexpr float kRounder = 12582912.0f;  // 1.5 * 2^23: adding it leaves the nearest integer in the low bits

/// 2^x for |x| <= 0.5 within 1.6e-7, and exactly 1 for 0.
HWY_INLINE Vector small_power(Vector x) {
  const Floats d;
  Vector sum = hn::Set(d, 1.3264591e-3f);
  sum = hn::MulAdd(sum, x, hn::Set(d, 9.6716192e-3f));
  sum = hn::MulAdd(sum, x, hn::Set(d, 5.5507351e-2f));
  sum = hn::MulAdd(sum, x, hn::Set(d, 2.4022241e-1f));
  sum = hn::MulAdd(sum, x, hn::Set(d, 6.9314700e-1f));
  return hn::MulAdd(sum, x, hn::Set(d, 1.0f));
}

/// 2^x; without AVX-512 for x clamped to [-126, 126].
HWY_INLINE Vector power(Vector x) {
#if HWY_TARGET == HWY_AVX3
  const Vector rest{_mm512_reduce_ps(x.raw, 0)};
  return Vector{_mm512_scalef_ps(small_power(rest).raw, hn::Sub(x, rest).raw)};
#else
  const Floats d;
  const Ints i;
  const Vector rounder = hn::Set(d, kRounder);
  x = hn::Min(hn::Max(x, hn::Set(d, -126.0f)), hn::Set(d, 126.0f));
  const Vector whole = hn::Add(x, rounder);
  const Vector power = small_power(hn::Sub(x, hn::Sub(whole, rounder)));
  return hn::BitCast(d, hn::Add(hn::BitCast(i, power), hn::ShiftLeft<23>(hn::BitCast(i, whole))));
#endif
}

struct Gates {
  Vector input;
  Vector output;
  Vector candidate;
};

/// Makes the new cell state in place and returns the new h.
HWY_INLINE Vector activate(const Gates& gates, Vector& cell) {
  const Floats d;
  const Vector one = hn::Set(d, 1.0f);
  const Vector minus = hn::Set(d, -kLog2e);
  const Vector low = hn::Sub(power(hn::Mul(gates.candidate, hn::Set(d, kLog2e))), one);
  const Vector candidate = hn::IfThenElse(hn::Gt(gates.candidate, hn::Zero(d)), gates.candidate, low);
  cell = hn::Add(cell, hn::Div(candidate, hn::Add(one, power(hn::Mul(gates.input, minus)))));
  // tanh is 1 from 20 on; the bound keeps infinity out of the fraction.
  const Vector square = power(hn::Mul(hn::Min(hn::Set(d, 20.0f), cell), hn::Set(d, 2 * kLog2e)));
  const Vector output = hn::Add(one, power(hn::Mul(gates.output, minus)));
  return hn::Div(hn::Sub(square, one), hn::MulAdd(output, square, output));
}

}  // namespace
}  // namespace op::simd
