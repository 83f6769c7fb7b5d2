// The parameters of cws_generated, drawn from a seed by counting: any one of them without the others.
//
// With 32-bit unsigned arithmetic, for feature d, hash j and n in 0..4:
//   mix(x): x ^= x >> 16; x *= M1; x ^= x >> 15; x *= M2; x ^= x >> 16
//   stream(n) = mix(mix(low + (n + 1) * STEP) ^ high), where the seed is high * 2^32 + low
//   x_n = mix(mix(stream(n) + d) ^ mix(mix(stream(n)) + j))
//   u_n = (x_n + 0.5) * 2^-32 as a double
//   r = -log(u0 * u1), log c = log(-log(u2 * u3)), beta = u4
// computed in double with exact_log's operations, then rounded to float32.
#pragma once

#include <cstdint>

namespace op::cws {

inline constexpr std::uint32_t kStep = 0x1e3779b9;
inline constexpr std::uint32_t kMix1 = 0x7feb352d;
inline constexpr std::uint32_t kMix2 = 0x2c1b3c6d;

constexpr std::uint32_t mix(std::uint32_t x) {
  x = (x ^ (x >> 16)) * kMix1;
  x = (x ^ (x >> 15)) * kMix2;
  return x ^ (x >> 16);
}

constexpr std::uint32_t stream(std::int64_t seed, std::uint32_t n) {
  const auto bits = static_cast<std::uint64_t>(seed);
  return mix(mix(static_cast<std::uint32_t>(bits) + (n + 1) * kStep) ^ static_cast<std::uint32_t>(bits >> 32));
}

}  // namespace op::cws
