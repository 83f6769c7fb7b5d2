// The parameters of cws_generated, drawn from a seed by counting: any one of them without the others.
//
// With 32-bit unsigned arithmetic, for feature d, hash j and n in 0..4:
//   mix(x): x ^= x >> 17; x *= 0x7feb352d; x ^= x >> 11; x *= 0x31848bab; x ^= x >> 15; x *= 0x2c1b3c6d; x ^= x >> 14
//   stream(n) = mix(mix(low + (n + 1) * 0x1e3779b9) ^ high), where the seed is high * 2^32 + low
//   x_n = mix(mix(stream(n) + d) ^ mix(mix(stream(n)) + j))
//   u_n = (x_n + 0.5) * 2^-32 as a double
//   r = -log(u0 * u1), log c = log(-log(u2 * u3)), beta = u4
// computed in double with the operations of double_log, then rounded to float32.
// The multipliers are below 2^31, so that 64-bit signed arithmetic gives the same without overflow. A changed bit of x
// changes each bit of mix(x) with a probability nearer to 1/2 than with the finaliser of MurmurHash3.
#pragma once

#include <cstdint>
#include <memory>

#include "op.h"

namespace op::cws {

constexpr std::uint32_t mix(std::uint32_t x) {
  x = (x ^ (x >> 17)) * 0x7feb352d;
  x = (x ^ (x >> 11)) * 0x31848bab;
  x = (x ^ (x >> 15)) * 0x2c1b3c6d;
  return x ^ (x >> 14);
}

constexpr std::uint32_t stream(std::int64_t seed, std::uint32_t n) {
  const auto bits = static_cast<std::uint64_t>(seed);
  return mix(mix(static_cast<std::uint32_t>(bits) + (n + 1) * 0x1e3779b9) ^ static_cast<std::uint32_t>(bits >> 32));
}

/// What a table is made from.
struct Recipe {
  std::int64_t seed;
  std::int64_t features;
  std::int64_t hashes;

  bool operator==(const Recipe&) const = default;
};

/// A packed table; the steps are in floats, as the kernels take them.
struct GeneratedTable {
  Recipe recipe;
  std::int64_t feature_step;
  std::int64_t tile_step;
  std::unique_ptr<float[]> data;
};

/// Returns the table, made now or by an earlier call. The process keeps the tables that were used last.
std::shared_ptr<const GeneratedTable> generated(const Recipe& recipe, const Parallel& parallel);

}  // namespace op::cws
