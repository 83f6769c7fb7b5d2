// What the kernels of cws share: the lowest heights of a tile in registers, and writing the hashes. Everything here is
// inlined into the file that includes it.
#pragma once

#include "kernels/cws_simd.h"
#include "simd/vector.h"

namespace op::simd {
namespace {

using IntVector = hn::Vec<Ints>;

inline constexpr std::int64_t kTileSize = kTile;
inline constexpr std::size_t kTilesAtOnce = kParts == 1 ? 4 : kParts == 2 ? 2 : 1;  // as many as the registers hold

/// The parameters of a feature for a vector of hashes.
struct Cell {
  Vector ri;
  Vector beta;
  Vector s;
  Vector r;
};

HWY_INLINE Cell load(const float* cell) {
  const Floats d;
  return {hn::LoadU(d, cell), hn::LoadU(d, cell + kTile), hn::LoadU(d, cell + 2 * kTile),
          hn::LoadU(d, cell + 3 * kTile)};
}

/// The lowest heights so far, and the entries of the row that have them; -1 where there is none.
template <std::size_t kVectors>
struct Best {
  Vector height[kVectors];
  IntVector entry[kVectors];

  HWY_INLINE void clear() {
    for (std::size_t v = 0; v < kVectors; ++v) {
      height[v] = hn::Inf(Floats());
      entry[v] = hn::Set(Ints(), -1);
    }
  }

  HWY_INLINE void offer(std::size_t v, Vector log, IntVector number, const Cell& cell) {
    const Vector steps = hn::Floor(hn::Add(hn::Mul(log, cell.ri), cell.beta));
    const Vector candidate = hn::Sub(cell.s, hn::Mul(cell.r, steps));
    const auto lower = hn::Lt(candidate, height[v]);
    height[v] = hn::Min(candidate, height[v]);
    entry[v] = hn::IfThenElse(hn::RebindMask(Ints(), lower), number, entry[v]);
  }
};

/// Rounds towards zero; what does not fit becomes the nearest number that does.
HWY_INLINE std::int64_t whole(float t) {
  constexpr float kLimit = 9.2e18f;
  return t > kLimit ? static_cast<std::int64_t>(kLimit) : static_cast<std::int64_t>(t < -kLimit ? -kLimit : t);
}

/// Writes the hashes of one row and one tile. `find(place, j, ri, beta)` looks up the parameters of a winner.
template <class Find>
HWY_INLINE void write(const CwsRow& row, const std::int32_t* entry, const Find& find, const CwsOutput& output) {
  const Floats d;
  const std::int64_t hashes = output.hashes < kTileSize ? output.hashes : kTileSize;
  HWY_ALIGN float log[kTile] = {};
  HWY_ALIGN float ri[kTile] = {};
  HWY_ALIGN float beta[kTile] = {};
  for (std::int64_t j = 0; j < hashes; ++j) {
    output.index[j] = -1;
    if (entry[j] < 0) continue;
    const std::int32_t place = row.place[entry[j]];
    log[j] = row.log[entry[j]];
    find(place, j, ri[j], beta[j]);
    output.index[j] = output.names == nullptr ? place : output.names[place];
  }
  for (std::size_t j = 0; j < kTile; j += kLanes) {
    const Vector steps = hn::Add(hn::Mul(hn::Load(d, log + j), hn::Load(d, ri + j)), hn::Load(d, beta + j));
    hn::Store(hn::Floor(steps), d, log + j);
  }
  for (std::int64_t j = 0; j < hashes; ++j) output.t[j] = whole(log[j]);
}

/// The output behind so many tiles.
HWY_INLINE CwsOutput skip(CwsOutput output, std::int64_t tiles) {
  output.index += tiles * kTileSize;
  output.t += tiles * kTileSize;
  output.hashes -= tiles * kTileSize;
  return output;
}

}  // namespace
}  // namespace op::simd
