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

/// exp within 2 units in the last place, for x clamped to [-87, 88]; NaN stays NaN, which Min and Max would hide.
HWY_INLINE Vector exp(Vector x) {
  const Floats d;
  const Ints i;
  const Vector given = x;
  x = hn::Min(hn::Max(x, hn::Set(d, -87.0f)), hn::Set(d, 88.0f));
  const Vector whole = hn::Round(hn::Mul(x, hn::Set(d, 1.44269504f)));
  // x - whole * ln 2, with ln 2 in two parts: the first is exact in few bits.
  const Vector rest =
      hn::NegMulAdd(whole, hn::Set(d, -2.12194440e-4f), hn::NegMulAdd(whole, hn::Set(d, 0.693359375f), x));
  // The series of exp up to the sixth power, with coefficients fitted to [-ln 2 / 2, ln 2 / 2].
  Vector sum = hn::Set(d, 1.9875691500e-4f);
  sum = hn::MulAdd(sum, rest, hn::Set(d, 1.3981999507e-3f));
  sum = hn::MulAdd(sum, rest, hn::Set(d, 8.3334519073e-3f));
  sum = hn::MulAdd(sum, rest, hn::Set(d, 4.1665795894e-2f));
  sum = hn::MulAdd(sum, rest, hn::Set(d, 1.6666665459e-1f));
  sum = hn::MulAdd(sum, rest, hn::Set(d, 5.0000001201e-1f));
  sum = hn::Add(hn::MulAdd(sum, hn::Mul(rest, rest), rest), hn::Set(d, 1.0f));
  const auto exponent = hn::ShiftLeft<23>(hn::Add(hn::ConvertTo(i, whole), hn::Set(i, 127)));
  return hn::IfThenElse(hn::Eq(given, given), hn::Mul(sum, hn::BitCast(d, exponent)), given);
}

HWY_INLINE Vector sigmoid(Vector x) {
  const Vector one = hn::Set(Floats(), 1.0f);
  return hn::Div(one, hn::Add(one, exp(hn::Neg(x))));
}

/// tanh with an absolute error near 1e-7: good for a state, not for a relative error near zero.
HWY_INLINE Vector tanh(Vector x) {
  const Vector one = hn::Set(Floats(), 1.0f);
  const Vector two = hn::Set(Floats(), 2.0f);
  return hn::Sub(one, hn::Div(two, hn::Add(one, exp(hn::Mul(two, x)))));
}

HWY_INLINE Vector elu(Vector x) {
  const Vector low = hn::Sub(exp(x), hn::Set(Floats(), 1.0f));
  return hn::IfThenElse(hn::Gt(x, hn::Zero(Floats())), x, low);
}

}  // namespace
}  // namespace op::simd
