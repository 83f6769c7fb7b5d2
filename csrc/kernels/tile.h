// The inner loop of float matrix products, for `_simd.cpp` files. The right factor lies in panels: a row of a panel
// is up to three groups of 16 columns. A strip is the same vector of every group of a panel; the sums of a tile of
// rows and strips stay in registers. Each sum adds its terms in order, whatever tile it is in.
#pragma once

#include "simd/vector.h"

namespace op::simd {
namespace {

#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL || HWY_ARCH_ARM_A64
inline constexpr int kTileRows = 8;  // of 32 registers, 24 are sums
#else
inline constexpr int kTileRows = 4;  // 12 of 16
#endif

inline constexpr std::int64_t kLine = 16;  // floats of a cache line

/// How many strips a tile has whose rows alone would leave registers, and multiply-adds, idle.
template <int kRows>
inline constexpr int kTileStrips = kRows * 4 <= kTileRows   ? 4
                                   : kRows * 2 <= kTileRows ? 2
                                                            : 1;

/// The sums of a tile: rows, strips, groups.
template <int kRows, int kStrips, int kGroups>
using Sums = Vector[kRows][kStrips][kGroups];

/// Elements of the left factor: row i, column k is data[i * row + k * column].
struct Left {
  const float* data;
  std::int64_t row;
  std::int64_t column;
};

/// Where strip number `strip`, counted from the first strip of a panel, starts in that panel or a later one.
HWY_INLINE std::int64_t strip_offset(std::int64_t strip, std::int64_t panel) {
  constexpr auto kCount = static_cast<std::int64_t>(kParts);
  return strip / kCount * panel + strip % kCount * static_cast<std::int64_t>(kLanes);
}

/// sums += a * b; `b` is the first strip's place in the panel's first row, `panel` the distance of panels. With
/// kAhead, `depth` cache lines from `ahead` on are fetched meanwhile.
template <bool kAhead = false, int kRows, int kStrips, int kGroups>
HWY_INLINE void accumulate(Sums<kRows, kStrips, kGroups>& sums, std::int64_t depth, Left a, const float* b,
                           std::int64_t panel, const float* ahead = nullptr) {
  const Floats d;
  const float* at[kStrips];
#pragma GCC unroll 8
  for (int s = 0; s < kStrips; ++s) at[s] = b + strip_offset(s, panel);
  for (std::int64_t k = 0; k < depth; ++k) {
    if constexpr (kAhead) __builtin_prefetch(ahead + k * kLine, 0, 2);
    Vector row[kStrips][kGroups];
#pragma GCC unroll 8
    for (int s = 0; s < kStrips; ++s) {
#pragma GCC unroll 8
      for (int g = 0; g < kGroups; ++g) row[s][g] = hn::LoadU(d, at[s] + g * kTile);
      at[s] += kGroups * kTile;
    }
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) {
      const Vector factor = hn::Set(d, a.data[i * a.row + k * a.column]);
#pragma GCC unroll 8
      for (int s = 0; s < kStrips; ++s) {
#pragma GCC unroll 8
        for (int g = 0; g < kGroups; ++g) sums[i][s][g] = hn::MulAdd(factor, row[s][g], sums[i][s][g]);
      }
    }
  }
}

/// The first `count` elements, or a vector of them if there are more; the rest is zero.
HWY_INLINE Vector load(const float* from, std::int64_t count) {
  if (count >= static_cast<std::int64_t>(kLanes)) return hn::LoadU(Floats(), from);
  HWY_ALIGN float whole[kLanes] = {};
  for (std::int64_t i = 0; i < count; ++i) whole[i] = from[i];
  return hn::Load(Floats(), whole);
}

HWY_INLINE void store(Vector value, float* to, std::int64_t count) {
  if (count >= static_cast<std::int64_t>(kLanes)) return hn::StoreU(value, Floats(), to);
  HWY_ALIGN float whole[kLanes];
  hn::Store(value, Floats(), whole);
  for (std::int64_t i = 0; i < count; ++i) to[i] = whole[i];
}

}  // namespace
}  // namespace op::simd
