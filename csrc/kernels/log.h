// A natural logarithm that gives the same bits on every machine: nothing but IEEE additions, multiplications
// and divisions in a fixed order. (Compile without contraction into fused operations.)
#pragma once

#include "simd/vector.h"

namespace op::simd {
namespace {

/// Vectors of doubles, and of as many floats.
using Doubles = hn::CappedTag<double, 8>;
using HalfFloats = hn::Rebind<float, Doubles>;
inline constexpr std::size_t kDoubles = hn::MaxLanes(Doubles());

/// The logarithms of positive, finite doubles that are not denormal.
HWY_INLINE hn::Vec<Doubles> double_log(hn::Vec<Doubles> value) {
  const Doubles d;
  const hn::RebindToUnsigned<Doubles> u;
  const auto half = hn::Set(u, 0x3fe6a09e667f3bcd);  // the bits of sqrt(1/2)
  // value = mantissa * 2^exponent with the mantissa in [sqrt(1/2), sqrt(2)).
  const auto shifted = hn::Sub(hn::BitCast(u, value), half);
  const auto mantissa = hn::BitCast(d, hn::Add(hn::And(shifted, hn::Set(u, 0x000fffffffffffff)), half));
  // exponent + 1024 in the low bits of 2^52, which makes a double of it.
  const auto biased = hn::ShiftRight<52>(hn::Add(shifted, hn::Set(u, std::uint64_t{1024} << 52)));
  const auto exponent =
      hn::Sub(hn::BitCast(d, hn::Or(biased, hn::Set(u, 0x4330000000000000))), hn::Set(d, 0x1p52 + 1024));
  // log(m) = 2 * atanh(s) with |s| < 0.172: the terms left out are below 1e-17.
  const auto one = hn::Set(d, 1.0);
  const auto s = hn::Div(hn::Sub(mantissa, one), hn::Add(mantissa, one));
  const auto square = hn::Mul(s, s);
  auto series = hn::Zero(d);
  for (int n = 21; n >= 3; n -= 2) series = hn::Mul(hn::Add(series, hn::Set(d, 1.0 / n)), square);
  const auto twice = hn::Add(s, s);
  return hn::Add(hn::Mul(exponent, hn::Set(d, 0.69314718055994530942)), hn::Add(twice, hn::Mul(twice, series)));
}

/// The logarithms of positive, finite floats, which are no denormal doubles; rounded once.
HWY_INLINE hn::Vec<HalfFloats> exact_log(hn::Vec<HalfFloats> value) {
  return hn::DemoteTo(HalfFloats(), double_log(hn::PromoteTo(Doubles(), value)));
}

}  // namespace
}  // namespace op::simd
