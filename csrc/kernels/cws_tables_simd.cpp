#include "kernels/cws_tables_simd.h"

#include "kernels/cws_winners.h"
#include "kernels/log.h"
#include "simd/vector.h"

namespace op::simd {
namespace {

constexpr std::int32_t kAhead = 6;  // how many features before their use codes are fetched

/// ri and s from what is drawn.
HWY_INLINE Cell complete(Vector r, Vector log_c, Vector beta) {
  const Vector one = hn::Set(Floats(), 1.0f);
  return {hn::Div(one, r), beta, hn::Add(log_c, hn::Mul(r, hn::Sub(beta, one))), r};
}

HWY_INLINE void store(const Cell& cell, float* to) {
  const Floats d;
  hn::StoreU(cell.ri, d, to);
  hn::StoreU(cell.beta, d, to + kTile);
  hn::StoreU(cell.s, d, to + 2 * kTile);
  hn::StoreU(cell.r, d, to + 3 * kTile);
}

void pack(const CwsParameters* from, std::int64_t hashes, const std::int32_t* features, std::int64_t count,
          float* tile) {
  const Floats d;
  HWY_ALIGN float values[3][kTile];
  for (std::size_t j = 0; j < kTile; ++j) values[0][j] = values[1][j] = values[2][j] = 1.0f;
  for (std::int64_t n = 0; n < count; ++n) {
    for (std::int64_t j = 0; j < hashes; ++j) {
      const std::int64_t at = j * from->step + features[n];
      values[0][j] = from->r[at];
      values[1][j] = from->log_c[at];
      values[2][j] = from->beta[at];
    }
    for (std::size_t j = 0; j < kTile; j += kLanes) {
      const Vector r = hn::Load(d, values[0] + j);
      store(complete(r, hn::Load(d, values[1] + j), hn::Load(d, values[2] + j)), tile + n * 4 * kTileSize + j);
    }
  }
}

// ---- Codes. All that is computed here but ri and s is exact.

HWY_INLINE IntVector load_codes(const std::uint8_t* codes) {
  const hn::Rebind<std::uint8_t, Floats> bytes;
  return hn::PromoteTo(Ints(), hn::LoadU(bytes, codes));
}

/// 1 / r, with the bits of the division.
HWY_INLINE Vector inverse(Vector r) { return hn::Div(hn::Set(Floats(), 1.0f), r); }

HWY_INLINE Cell decode_cell(const std::uint8_t* codes) {
  const Floats d;
  const Ints i;
  const Vector one = hn::Set(d, 1.0f);
  constexpr std::int32_t kBase = ((127 - 12) << 23) + (1 << 18);  // the bits of r for code 0
  const Vector r = hn::BitCast(d, hn::Add(hn::ShiftLeft<19>(load_codes(codes)), hn::Set(i, kBase)));
  const Vector b = hn::ConvertTo(d, load_codes(codes + kTile));
  const Vector beta = hn::MulAdd(b, hn::Set(d, 1.0f / 256), hn::Set(d, 0.5f / 256));
  const Vector c = hn::ConvertTo(d, load_codes(codes + 2 * kTile));
  const Vector log_c = hn::MulAdd(c, hn::Set(d, 12.0f / 256), hn::Set(d, 6.0f / 256 - 8.0f));
  return {inverse(r), beta, hn::Add(log_c, hn::Mul(r, hn::Sub(beta, one))), r};
}

void decode(const CwsCodeTable* from, const std::int32_t* features, std::int64_t count, float* tile) {
  for (std::int64_t n = 0; n < count; ++n) {
    const std::uint8_t* codes = from->data + features[n] * from->feature_step;
    for (std::size_t j = 0; j < kTile; j += kLanes) store(decode_cell(codes + j), tile + n * 4 * kTileSize + j);
  }
}

/// Looks up the parameters of a winner in a tile of codes.
struct Find {
  const std::uint8_t* codes;
  std::int64_t feature_step;

  HWY_INLINE void operator()(std::int32_t place, std::int64_t j, float& ri, float& beta) const {
    HWY_ALIGN float cell[4 * kTile];
    const std::uint8_t* at = codes + place * feature_step;
    const std::size_t part = static_cast<std::size_t>(j) / kLanes * kLanes;
    store(decode_cell(at + part), cell + part);
    ri = cell[j];
    beta = cell[kTile + j];
  }
};

template <std::size_t kTiles>
HWY_INLINE void pass(const CwsRow& row, const CwsCodeTable& table, const CwsOutput& output) {
  const Ints i;
  Best<kTiles * kParts> best;
  best.clear();
  for (std::int32_t n = 0; n < row.count; ++n) {
    const std::uint8_t* codes = table.data + row.place[n] * table.feature_step;
    const std::int32_t soon = n + kAhead < row.count ? n + kAhead : row.count - 1;
    const std::uint8_t* later = table.data + row.place[soon] * table.feature_step;
    for (std::size_t byte = 0; byte < kTiles * 48; byte += 64) __builtin_prefetch(later + byte);
    const Vector log = hn::Set(Floats(), row.log[n]);
    const IntVector number = hn::Set(i, n);
    for (std::size_t tile = 0; tile < kTiles; ++tile) {
      for (std::size_t v = 0; v < kParts; ++v) {
        best.offer(tile * kParts + v, log, number, decode_cell(codes + tile * table.tile_step + v * kLanes));
      }
    }
  }
  HWY_ALIGN std::int32_t entry[kTiles * kTile];
  for (std::size_t v = 0; v < kTiles * kParts; ++v) hn::Store(best.entry[v], i, entry + v * kLanes);
  for (std::int64_t tile = 0; tile < std::int64_t{kTiles}; ++tile) {
    write(row, entry + tile * kTileSize, Find{table.data + tile * table.tile_step, table.feature_step},
          skip(output, tile));
  }
}

void row(const CwsRow* row, const CwsCodeTable* given, std::int64_t tiles, const CwsOutput* output) {
  CwsCodeTable table = *given;
  std::int64_t tile = 0;
  while (tile < tiles) {
    const bool many = tile + static_cast<std::int64_t>(kTilesAtOnce) <= tiles;
    table.data = given->data + tile * table.tile_step;
    many ? pass<kTilesAtOnce>(*row, table, skip(*output, tile)) : pass<1>(*row, table, skip(*output, tile));
    tile += many ? kTilesAtOnce : 1;
  }
}

// ---- Drawing.

using Words = hn::RebindToUnsigned<Floats>;
using WordVector = hn::Vec<Words>;
using DoubleVector = hn::Vec<Doubles>;

/// mix of cws_generated.h.
HWY_INLINE WordVector mix_words(WordVector x) {
  const Words u;
  x = hn::Mul(hn::Xor(x, hn::ShiftRight<17>(x)), hn::Set(u, 0x7feb352d));
  x = hn::Mul(hn::Xor(x, hn::ShiftRight<11>(x)), hn::Set(u, 0x31848bab));
  x = hn::Mul(hn::Xor(x, hn::ShiftRight<15>(x)), hn::Set(u, 0x2c1b3c6d));
  return hn::Xor(x, hn::ShiftRight<14>(x));
}

/// (x + 0.5) / 2^32.
HWY_INLINE DoubleVector uniform(const std::uint32_t* x) {
  const Doubles d;
  const hn::RebindToUnsigned<Doubles> wide;
  const auto bits = hn::PromoteTo(wide, hn::LoadU(hn::Rebind<std::uint32_t, Doubles>(), x));
  const auto high = hn::BitCast(d, hn::Or(bits, hn::Set(wide, 0x4330000000000000)));  // 2^52 + x
  return hn::Mul(hn::Add(hn::Sub(high, hn::Set(d, 0x1p52)), hn::Set(d, 0.5)), hn::Set(d, 0x1p-32));
}

/// -log of the product of two uniform numbers.
HWY_INLINE DoubleVector gamma(const std::uint32_t* x, const std::uint32_t* y) {
  return hn::Neg(double_log(hn::Mul(uniform(x), uniform(y))));
}

void draw(const std::uint32_t* feature, const std::uint32_t* streams, std::uint32_t hash, float* cell) {
  const Floats d;
  const Words u;
  const HalfFloats half;
  HWY_ALIGN std::uint32_t x[5][kTile];
  for (std::size_t n = 0; n < 5; ++n) {
    const WordVector row = hn::Set(u, feature[n]);
    for (std::size_t j = 0; j < kTile; j += kLanes) {
      const auto at = hn::Iota(u, streams[n] + hash + static_cast<std::uint32_t>(j));
      hn::Store(mix_words(hn::Xor(row, mix_words(at))), u, x[n] + j);
    }
  }
  HWY_ALIGN float drawn[3][kTile];
  for (std::size_t j = 0; j < kTile; j += kDoubles) {
    hn::StoreU(hn::DemoteTo(half, gamma(x[0] + j, x[1] + j)), half, drawn[0] + j);
    hn::StoreU(hn::DemoteTo(half, double_log(gamma(x[2] + j, x[3] + j))), half, drawn[1] + j);
    hn::StoreU(hn::DemoteTo(half, uniform(x[4] + j)), half, drawn[2] + j);
  }
  for (std::size_t j = 0; j < kTile; j += kLanes) {
    store(complete(hn::Load(d, drawn[0] + j), hn::Load(d, drawn[1] + j), hn::Load(d, drawn[2] + j)), cell + j);
  }
}

}  // namespace

constinit const CwsTableKernels Compiled<CwsTableKernels, Isa::OP_ISA>::table = {pack, decode, draw, row};

}  // namespace op::simd
