#include "kernels/cws_simd.h"

#include "kernels/cws_winners.h"
#include "kernels/log.h"
#include "simd/vector.h"

namespace op::simd {
namespace {

constexpr std::int32_t kAbove = 0x7fffffff;
constexpr std::int64_t kBlock = 96;  // features of a tile that fit into the first cache, with the rows beside them
constexpr std::int32_t kAhead = 4;   // how many features before their use parameters are fetched
constexpr std::int32_t kFar = 256;   // floats; what the processor fetches by itself ends with a page

// ---- Reading rows.

/// Appends the nonzeros among a vector of weights.
HWY_INLINE void append(const float* weights, std::int32_t first, CwsRow& row) {
  const Floats d;
  const Ints i;
  const IntVector bits = hn::BitCast(i, hn::LoadU(d, weights + first));
  const auto nonzero = hn::Gt(hn::And(bits, hn::Set(i, kAbove)), hn::Zero(i));
  if (hn::AllFalse(i, nonzero)) return;
  hn::StoreU(hn::BitCast(d, hn::Compress(bits, nonzero)), d, row.log + row.count);
  hn::StoreU(hn::Compress(hn::Iota(i, first), nonzero), i, row.place + row.count);
  row.count += static_cast<std::int32_t>(hn::CountTrue(i, nonzero));
}

HWY_INLINE void append_one(float weight, std::int32_t at, CwsRow& row) {
  row.log[row.count] = weight;
  row.place[row.count] = at;
  row.count += weight == 0.0f ? 0 : 1;
}

/// Whether all the nonzeros are positive and finite. Behind them stand ones.
HWY_INLINE bool valid(const CwsRow& row) {
  const Floats d;
  const Ints i;
  auto least = hn::Set(i, 1);
  auto most = hn::Set(i, 1);
  for (std::int32_t n = 0; n < row.count; n += kLanes) {
    const IntVector bits = hn::BitCast(i, hn::LoadU(d, row.log + n));
    least = hn::Min(least, bits);
    most = hn::Max(most, bits);
  }
  const IntVector infinity = hn::Set(i, 0x7f800000);
  return hn::AllTrue(i, hn::And(hn::Gt(least, hn::Zero(i)), hn::Lt(most, infinity)));
}

void read(const float* weights, std::int64_t size, CwsRow* out) {
  CwsRow row = *out;
  row.count = 0;
  const auto end = static_cast<std::int32_t>(size);
  std::int32_t at = 0;
  for (; at + static_cast<std::int32_t>(kLanes) <= end; at += kLanes) {
    __builtin_prefetch(weights + (at + kFar < end ? at + kFar : at));
    append(weights, at, row);
  }
  for (; at < end; ++at) append_one(weights[at], at, row);
  for (std::size_t n = 0; n < kTile; ++n) row.log[row.count + n] = 1.0f;
  if (!valid(row)) row.count = 0;
  const HalfFloats d;
  for (std::int32_t n = 0; n < row.count; n += kDoubles) {
    hn::StoreU(exact_log(hn::LoadU(d, row.log + n)), d, row.log + n);
  }
  row.place[row.count] = kAbove;
  *out = row;
}

// ---- Finding winners.

/// Looks up the parameters of a winner in a tile.
struct Find {
  const CwsTable& tile;

  HWY_INLINE void operator()(std::int32_t place, std::int64_t j, float& ri, float& beta) const {
    const float* cell = tile.data + place * tile.feature_step + j;
    ri = cell[0];
    beta = cell[kTile];
  }
};

/// One tile's state in memory.
struct Saved {
  float height[kTile];
  std::int32_t entry[kTile];
};

/// Offers the entries from `n` whose places are below `limit`; returns where it stopped.
HWY_INLINE std::int32_t scan(const CwsRow& row, std::int32_t n, std::int32_t limit, const CwsTable& table,
                             Saved& saved) {
  const Floats d;
  const Ints i;
  Best<kParts> best;
  for (std::size_t v = 0; v < kParts; ++v) {
    best.height[v] = hn::Load(d, saved.height + v * kLanes);
    best.entry[v] = hn::Load(i, saved.entry + v * kLanes);
  }
  for (; row.place[n] < limit; ++n) {
    const float* cell = table.data + row.place[n] * table.feature_step;
    const Vector log = hn::Set(d, row.log[n]);
    for (std::size_t v = 0; v < kParts; ++v) best.offer(v, log, hn::Set(i, n), load(cell + v * kLanes));
  }
  for (std::size_t v = 0; v < kParts; ++v) {
    hn::Store(best.height[v], d, saved.height + v * kLanes);
    hn::Store(best.entry[v], i, saved.entry + v * kLanes);
  }
  return n;
}

void rows(const CwsRow* rows, std::int64_t count, const CwsTable* table, std::int64_t size, const CwsOutput* output) {
  HWY_ALIGN Saved saved[kCwsGroup];
  std::int32_t next[kCwsGroup];
  for (std::int64_t b = 0; b < count; ++b) {
    next[b] = 0;
    for (std::size_t j = 0; j < kTile; ++j) {
      saved[b].height[j] = __builtin_inff();
      saved[b].entry[j] = -1;
    }
  }
  for (std::int64_t block = 0; block < size; block += kBlock) {
    const std::int64_t limit = block + kBlock < size ? block + kBlock : size;
    for (std::int64_t b = 0; b < count; ++b) {
      next[b] = scan(rows[b], next[b], static_cast<std::int32_t>(limit), *table, saved[b]);
    }
  }
  CwsOutput to = *output;
  for (std::int64_t b = 0; b < count; ++b) {
    write(rows[b], saved[b].entry, Find{*table}, to);
    to.index += to.row_step;
    to.t += to.row_step;
  }
}

/// Hashes one row with so many tiles at once.
template <std::size_t kTiles>
HWY_INLINE void pass(const CwsRow& row, const CwsTable& table, const CwsOutput& output) {
  const Floats d;
  const Ints i;
  Best<kTiles * kParts> best;
  best.clear();
  for (std::int32_t n = 0; n < row.count; ++n) {
    const float* cell = table.data + row.place[n] * table.feature_step;
    const std::int32_t soon = n + kAhead < row.count ? n + kAhead : row.count - 1;
    const float* later = table.data + row.place[soon] * table.feature_step;
    const Vector log = hn::Set(d, row.log[n]);
    const IntVector number = hn::Set(i, n);
    for (std::size_t tile = 0; tile < kTiles; ++tile) {
      for (std::size_t v = 0; v < kParts; ++v) {
        best.offer(tile * kParts + v, log, number, load(cell + tile * table.tile_step + v * kLanes));
      }
      for (std::size_t line = 0; line < 4; ++line) {
        __builtin_prefetch(later + tile * table.tile_step + line * 16);
      }
    }
  }
  HWY_ALIGN std::int32_t entry[kTiles * kTile];
  for (std::size_t v = 0; v < kTiles * kParts; ++v) hn::Store(best.entry[v], i, entry + v * kLanes);
  for (std::int64_t tile = 0; tile < std::int64_t{kTiles}; ++tile) {
    const CwsTable one = {table.data + tile * table.tile_step, table.feature_step, table.tile_step};
    write(row, entry + tile * kTileSize, Find{one}, skip(output, tile));
  }
}

void row(const CwsRow* row, const CwsTable* given, std::int64_t tiles, const CwsOutput* output) {
  CwsTable table = *given;
  std::int64_t tile = 0;
  while (tile < tiles) {
    const bool many = tile + static_cast<std::int64_t>(kTilesAtOnce) <= tiles;
    table.data = given->data + tile * table.tile_step;
    many ? pass<kTilesAtOnce>(*row, table, skip(*output, tile)) : pass<1>(*row, table, skip(*output, tile));
    tile += many ? kTilesAtOnce : 1;
  }
}

}  // namespace

constinit const CwsKernels Compiled<CwsKernels, Isa::OP_ISA>::table = {read, rows, row};

}  // namespace op::simd
