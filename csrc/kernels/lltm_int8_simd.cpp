#include "kernels/lltm_int8_simd.h"

#include "kernels/lltm_int8_cell.h"
#include "kernels/lltm_int8_dot.h"

namespace op::simd {
namespace {

using Size = std::int64_t;

constexpr Size kGates = 48;   // of a panel: 3 gates of 16 units
constexpr Size kGroup = 192;  // bytes of 4 columns of a panel

// A tile of sums that stays in registers is rows * parts of a panel * 3 gates; this is the most of rows * parts.
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON
constexpr int kTileSize = 8;
#else
constexpr int kTileSize = 4;
#endif

constexpr int smaller(int a, int b) { return a < b ? a : b; }

/// Rows of codes and one panel of the weight, or the part of it that a tile begins with.
struct Factors {
  Size groups;
  const std::int8_t* weight;
  const std::uint8_t* codes;
  Size stride;
};

/// Sums of `Rows` rows for `Parts` vectors of each gate. `Chains` of each are open at a time, as a dot product waits
/// for the one before it.
template <int Rows, int Parts, int Chains>
struct Tile {
  static constexpr int kVectors = 3 * Parts;

  /// Where the values of a vector of the tile lie among the gates of the panel.
  static constexpr Size at(int vector) {
    return static_cast<Size>(vector / Parts) * 16 + static_cast<Size>(vector % Parts) * Size{kLanes};
  }

  /// Adds the products of all groups but the last groups % Chains to to[row, 48]; returns how many groups it took.
  static HWY_NOINLINE Size add(const Factors& factors, std::int32_t* to) {
    const Ints i;
    Sums sums[Chains * Rows][kVectors];
    HWY_UNROLL(8) for (int row = 0; row < Chains * Rows; ++row) {
      HWY_UNROLL(12) for (int v = 0; v < kVectors; ++v) sums[row][v] = Sums{};
    }
    Size group = 0;
    for (; group + Chains <= factors.groups; group += Chains) {
      HWY_UNROLL(4) for (int chain = 0; chain < Chains; ++chain) {
        Weight weight[kVectors];
        HWY_UNROLL(12) for (int v = 0; v < kVectors; ++v) {
          weight[v] = weight_at(factors.weight + (group + chain) * kGroup + 4 * at(v));
        }
        HWY_UNROLL(8) for (int row = 0; row < Rows; ++row) {
          const Codes codes = codes_at(factors.codes + row * factors.stride + (group + chain) * 4);
          HWY_UNROLL(12) for (int v = 0; v < kVectors; ++v) {
            sums[chain * Rows + row][v] = dot(sums[chain * Rows + row][v], weight[v], codes);
          }
        }
      }
    }
    HWY_UNROLL(8) for (int row = 0; row < Rows; ++row) {
      HWY_UNROLL(12) for (int v = 0; v < kVectors; ++v) {
        std::int32_t* out = to + row * kGates + at(v);
        hn::Vec<Ints> sum = hn::LoadU(i, out);
        HWY_UNROLL(4) for (int chain = 0; chain < Chains; ++chain) {
          sum = hn::Add(sum, to_vector(sums[chain * Rows + row][v]));
        }
        hn::StoreU(sum, i, out);
      }
    }
    return group;
  }
};

/// What the sums of a panel begin with: the products of the offset, taken away.
template <int Rows>
HWY_INLINE void start(const std::int32_t* weight_sums, std::int32_t* to) {
  for (Size j = 0; j < kGates; ++j) {
    for (Size row = 0; row < Rows; ++row) to[row * kGates + j] = kOffset == 0 ? 0 : -kOffset * weight_sums[j];
  }
}

/// The sums of `Rows` rows for the 48 gates of a panel: to[row, 48].
template <int Rows>
HWY_INLINE void add_rows(Factors factors, std::int32_t* to) {
  constexpr int kTileParts = smaller(static_cast<int>(kParts), kTileSize / Rows);
  constexpr int kChains = smaller(4, kTileSize / (Rows * kTileParts));
  constexpr Size kUnits = kTileParts * Size{kLanes};
  for (Size unit = 0; unit < 16; unit += kUnits, factors.weight += 4 * kUnits) {
    const Size done = Tile<Rows, kTileParts, kChains>::add(factors, to + unit);
    if (kChains == 1 || done == factors.groups) continue;
    Tile<Rows, kTileParts, 1>::add(
        {factors.groups - done, factors.weight + done * kGroup, factors.codes + done * 4, factors.stride}, to + unit);
  }
}

/// Calls finish(row, sums[48]) for all rows with the sums of a panel.
template <int Rows = kTileSize, class Finish>
HWY_INLINE void for_each_row(const Int8Columns& columns, Size panel, const Int8Rows& rows, Size from,
                             const Finish& finish) {
  HWY_ALIGN std::int32_t sums[Rows * kGates];
  for (; from + Rows <= rows.rows; from += Rows) {
    start<Rows>(columns.sums + panel * 2 * kGates, sums);
    add_rows<Rows>(
        {columns.groups, columns.weight + panel * columns.panel_bytes, rows.codes + from * rows.stride, rows.stride},
        sums);
    for (Size row = 0; row < Rows; ++row) finish(from + row, sums + row * kGates);
  }
  if constexpr (Rows > 1) for_each_row<Rows / 2>(columns, panel, rows, from, finish);
}

/// Values in [-127, 127] to bytes, to the nearest even.
HWY_INLINE void store_codes(Vector x, std::uint8_t* to) {
  const Ints i;
  const auto bits = hn::BitCast(i, hn::Add(x, hn::Set(Floats(), kRounder + kOffset)));
#if HWY_TARGET == HWY_AVX3
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(bits.raw));
#else
  const hn::Rebind<std::int8_t, Floats> bytes;
  const auto whole = hn::Sub(bits, hn::BitCast(i, hn::Set(Floats(), kRounder)));
  hn::StoreU(hn::DemoteTo(bytes, whole), bytes, reinterpret_cast<std::int8_t*>(to));
#endif
}

/// Calls f(column) for vectors of columns that cover 0..columns; the last two may overlap.
template <class F>
HWY_INLINE void for_each_vector(Size columns, const F& f) {
  constexpr Size kStep{kLanes};
  for (Size j = 0; j + kStep <= columns; j += kStep) f(j);
  if (columns % kStep != 0 && columns > kStep) f(columns - kStep);
}

/// A row that is shorter than a vector, followed by zeros.
struct ShortRow {
  HWY_ALIGN float values[kLanes];
  ShortRow(Size columns, const float* x) {
    for (Size j = 0; j < Size{kLanes}; ++j) values[j] = j < columns ? x[j] : 0.0f;
  }
};

/// The largest |x| of a row, NaN where there is one: the bits of absolute values are ordered as integers.
HWY_INLINE float largest(Size columns, const float* x) {
  const Floats d;
  const Ints i;
  auto most = hn::Zero(i);
  for_each_vector(columns, [&](Size j) { most = hn::Max(most, hn::BitCast(i, hn::Abs(hn::LoadU(d, x + j)))); });
  return hn::GetLane(hn::BitCast(d, hn::MaxOfLanes(i, most)));
}

HWY_INLINE void quantize(Size columns, const float* x, float factor, std::uint8_t* codes) {
  const Floats d;
  const Vector scale = hn::Set(d, factor);
  for_each_vector(columns, [&](Size j) { store_codes(hn::Mul(hn::LoadU(d, x + j), scale), codes + j); });
}

/// Returns the scale of the row.
HWY_INLINE float quantize_row(Size columns, const float* x, std::uint8_t* codes) {
  constexpr float kTiny = 1e-30f;  // below, 127 / m may be infinite
  const float most = largest(columns, x);
  if (most < kTiny) {
    for (Size j = 0; j < columns; ++j) codes[j] = kOffset;
    return 0.0f;
  }
  quantize(columns, x, 127.0f / most, codes);
  return most / 127.0f;
}

void quantize_input(Size columns, const float* x, const Int8Rows& to, float* scales) {
  for (Size row = 0; row < to.rows; ++row) {
    const float* from = x + row * columns;
    std::uint8_t* codes = to.codes + row * to.stride;
    if (columns >= Size{kLanes}) {
      scales[row] = quantize_row(columns, from, codes);
    } else {
      scales[row] = quantize_row(Size{kLanes}, ShortRow(columns, from).values, codes);
    }
  }
}

HWY_INLINE void quantize_clamped(Size columns, const float* h, std::uint8_t* codes) {
  const Floats d;
  for_each_vector(columns, [&](Size j) {
    const Vector x = hn::Min(hn::Max(hn::LoadU(d, h + j), hn::Set(d, -1.0f)), hn::Set(d, 1.0f));
    store_codes(hn::Mul(x, hn::Set(d, 127.0f)), codes + j);
  });
}

void quantize_state(Size columns, const float* h, const Int8Rows& to) {
  for (Size row = 0; row < to.rows; ++row) {
    const float* from = h + row * columns;
    std::uint8_t* codes = to.codes + row * to.stride;
    if (columns >= Size{kLanes}) {
      quantize_clamped(columns, from, codes);
    } else {
      quantize_clamped(Size{kLanes}, ShortRow(columns, from).values, codes);
    }
  }
}

HWY_INLINE Vector to_float(const std::int32_t* sums) { return hn::ConvertTo(Floats(), hn::LoadU(Ints(), sums)); }

void project(const Int8Columns& weight, const Int8Rows& input, const float* input_scales, float* projected) {
  const Floats d;
  for (Size panel = 0; panel < weight.panels; ++panel, projected += input.rows * kGates) {
    const float* scale = weight.scales + panel * 3 * kGates;
    for_each_row(weight, panel, input, 0, [&](Size row, const std::int32_t* sums) {
      const Vector row_scale = hn::Set(d, input_scales[row]);
      for (Size j = 0; j < kGates; j += kLanes) {
        const Vector factor = hn::Mul(hn::LoadU(d, scale + j), row_scale);
        const Vector bias = hn::LoadU(d, scale + kGates + j);
        hn::StoreU(hn::MulAdd(to_float(sums + j), factor, bias), d, projected + row * kGates + j);
      }
    });
  }
}

/// The new state of the units of a panel in one row: c in place, h as floats and as bytes.
HWY_INLINE void finish(const std::int32_t* sums, const float* scale, const float* projected, float* c, float* h,
                       std::uint8_t* codes) {
  const Floats d;
  const auto gate = [&](Size j) {
    return hn::MulAdd(to_float(sums + j), hn::LoadU(d, scale + j), hn::LoadU(d, projected + j));
  };
  for (Size j = 0; j < 16; j += kLanes) {
    Vector cell = hn::LoadU(d, c + j);
    const Vector state = activate({gate(j), gate(16 + j), gate(32 + j)}, cell);
    hn::StoreU(cell, d, c + j);
    hn::StoreU(state, d, h + j);
    store_codes(hn::Mul(state, hn::Set(d, 127.0f)), codes + j);
  }
}

void step(const Int8Columns& weight, const Int8Step& step) {
  for (Size panel = 0; panel < weight.panels; ++panel) {
    const Size left = step.hidden - panel * 16;
    for_each_row(weight, panel, step.state, 0, [&](Size row, const std::int32_t* sums) {
      float* h = step.h + row * step.hidden + panel * 16;
      HWY_ALIGN float padded[16];
      finish(sums, weight.scales + panel * 3 * kGates, step.projected + panel * step.projected_stride + row * kGates,
             step.c + (panel * step.state.rows + row) * 16, left < 16 ? padded : h,
             step.next + row * step.state.stride + panel * 16);
      for (Size j = 0; j < left && left < 16; ++j) h[j] = padded[j];
    });
  }
}

}  // namespace

constinit const LltmInt8Kernels Compiled<LltmInt8Kernels, Isa::OP_ISA>::table = {quantize_input, quantize_state,
                                                                                 project, step};

}  // namespace op::simd
