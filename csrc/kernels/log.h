// A natural logarithm that gives the same bits on every machine: nothing but IEEE additions, multiplications
// and divisions in a fixed order. (Compile without contraction into fused operations.)
#pragma once

#include <bit>
#include <cstdint>

namespace op {

/// The logarithm of a positive, finite double that is not denormal.
inline double double_log(double value) {
  constexpr double kLn2 = 0.69314718055994530942;
  constexpr std::uint64_t kSqrtHalf = 0x3fe6a09e667f3bcd;  // the bits of sqrt(1/2)
  // value = mantissa * 2^exponent with the mantissa in [sqrt(1/2), sqrt(2)).
  const std::uint64_t shifted = std::bit_cast<std::uint64_t>(value) - kSqrtHalf;
  const auto exponent = static_cast<std::int64_t>(shifted) >> 52;
  const auto mantissa = std::bit_cast<double>((shifted & 0x000fffffffffffff) + kSqrtHalf);
  // log(m) = 2 * atanh(s) with |s| < 0.172: the terms left out are below 1e-17.
  const double s = (mantissa - 1.0) / (mantissa + 1.0);
  const double square = s * s;
  double series = 0.0;
  for (int n = 21; n >= 3; n -= 2) series = (series + 1.0 / n) * square;
  return static_cast<double>(exponent) * kLn2 + (2.0 * s + 2.0 * s * series);
}

/// The logarithm of a positive, finite float; computed in double, then rounded once. No float is a denormal double.
inline float exact_log(float value) { return static_cast<float>(double_log(static_cast<double>(value))); }

}  // namespace op
