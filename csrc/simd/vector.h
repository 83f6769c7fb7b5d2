// What every `_simd.cpp` includes: Highway for the instruction set that the file is being compiled for, and the
// functions of activations on its vectors. Everything here is inlined into the file.
#pragma once

#include <hwy/highway.h>

#include <cstdint>

#include "simd/isa.h"

namespace op::simd {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

/// Packed data comes in tiles of 16 floats on every machine: one vector of AVX-512, two of AVX2, four of NEON.
inline constexpr std::size_t kTile = 16;

/// Vectors of floats, at most a tile wide.
using Floats = hn::CappedTag<float, kTile>;
using Ints = hn::Rebind<std::int32_t, Floats>;
using Vector = hn::Vec<Floats>;

inline constexpr std::size_t kLanes = hn::MaxLanes(Floats());
inline constexpr std::size_t kParts = kTile / kLanes;  // vectors in a tile

/// The smaller one; NaN where x is NaN.
HWY_INLINE Vector at_most(float limit, Vector x) {
#if HWY_ARCH_X86 && HWY_TARGET != HWY_SCALAR
  return hn::Min(hn::Set(Floats(), limit), x);  // gives its second operand where one is NaN
#else
  return hn::IfThenElse(hn::Gt(x, hn::Set(Floats(), limit)), hn::Set(Floats(), limit), x);
#endif
}

/// 2^x for x up to 126, within a unit in the last place; 2^-126 or less where x is lower.
HWY_INLINE Vector exp2(Vector x) {
  const Floats d;
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
  const Vector rest{_mm512_reduce_ps(x.raw, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)};
#else
  x = hn::Neg(at_most(126.0f, hn::Neg(x)));
  const Vector whole = hn::Floor(x);
  const Vector rest = hn::Sub(x, whole);
#endif
  // Fitted to the smallest relative error on [0, 1], exact at both ends.
  Vector sum = hn::Set(d, 2.1714626633e-4f);
  sum = hn::MulAdd(sum, rest, hn::Set(d, 1.2440988176e-3f));
  sum = hn::MulAdd(sum, rest, hn::Set(d, 9.6780522500e-3f));
  sum = hn::MulAdd(sum, rest, hn::Set(d, 5.5484158074e-2f));
  sum = hn::MulAdd(sum, rest, hn::Set(d, 2.4022951214e-1f));
  sum = hn::MulAdd(sum, rest, hn::Set(d, 6.9314703245e-1f));
  sum = hn::MulAdd(sum, rest, hn::Set(d, 1.0f));
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
  return Vector{_mm512_scalef_ps(sum.raw, x.raw)};
#else
  // Adding 1.5 * 2^23 leaves a whole number in the low bits.
  const auto bits = hn::BitCast(Ints(), hn::Add(whole, hn::Set(d, 12582912.0f)));
  return hn::Mul(sum, hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(bits, hn::Set(Ints(), 127)))));
#endif
}

/// 1 / x for x of [1, 2^126], within a unit in the last place.
HWY_INLINE Vector reciprocal(Vector x) {
  const Vector one = hn::Set(Floats(), 1.0f);
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
  const Vector near{_mm512_rcp14_ps(x.raw)};  // a division takes as long as 16 multiplications
  return hn::MulAdd(near, hn::NegMulAdd(x, near, one), near);
#else
  return hn::Div(one, x);
#endif
}

// The functions below are good to a few units in the last place of 1: enough for gates and states, not for a relative
// error near zero. They keep NaN.

/// 1 / (1 + 2^x)
HWY_INLINE Vector falling(Vector x) { return reciprocal(hn::Add(hn::Set(Floats(), 1.0f), exp2(at_most(125.0f, x)))); }

inline constexpr float kLog2e = 1.44269504f;

HWY_INLINE Vector sigmoid(Vector x) { return falling(hn::Mul(x, hn::Set(Floats(), -kLog2e))); }

HWY_INLINE Vector tanh(Vector x) {
  const Vector low = falling(hn::Mul(x, hn::Set(Floats(), 2.0f * kLog2e)));
  return hn::NegMulAdd(hn::Set(Floats(), 2.0f), low, hn::Set(Floats(), 1.0f));
}

HWY_INLINE Vector elu(Vector x) {
  const Vector power = exp2(at_most(125.0f, hn::Mul(x, hn::Set(Floats(), kLog2e))));
  const Vector low = hn::Sub(power, hn::Set(Floats(), 1.0f));
  return hn::IfThenElse(hn::Gt(x, hn::Zero(Floats())), x, low);
}

}  // namespace
}  // namespace op::simd
