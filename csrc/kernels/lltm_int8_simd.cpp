#include "kernels/lltm_int8_simd.h"

#include "kernels/lltm_int8_cell.h"
#include "kernels/lltm_int8_dot.h"

namespace op::simd {
namespace {

using Size = std::int64_t;

constexpr Size kUnits = 16;   // of a panel
constexpr Size kGates = 48;   // of a panel: 3 gates of 16 units
constexpr Size kGroup = 192;  // bytes of 4 columns of a panel

// A panel has kParts strips of kLanes units. A tile of sums that stays in registers is rows * strips * 3 gates; this is
// the most of rows * strips.
#if HWY_TARGET == HWY_AVX3
constexpr int kTileSize = 8;
#elif HWY_TARGET == HWY_NEON && defined(__ARM_FEATURE_DOTPROD)
constexpr int kTileSize = 6;
#else
constexpr int kTileSize = 4;
#endif

/// Where a strip lies.
struct Strip {
  Size panel;
  Size unit;  // its first, within the panel

  HWY_INLINE explicit Strip(Size index) : panel(index / Size{kParts}), unit(index % Size{kParts} * Size{kLanes}) {}
};

/// Few rows take several strips at a time: the weight then comes in several streams, and dot products need not wait
/// for each other.
constexpr int strips_of(int rows) {
  const int strips = kTileSize / rows;
  return strips >= 4 ? 4 : strips >= 2 ? 2 : 1;
}

template <int Rows, int Strips>
struct Tile {
  /// Sums over all columns, to[strip, row, gate, kLanes].
  static HWY_NOINLINE void run(const Int8Columns& columns, Size first, const std::uint8_t* codes, Size stride,
                               std::int32_t* to) {
    Sums sums[Strips][Rows][3];
    const std::int8_t* weights[Strips];
    HWY_UNROLL(4) for (int s = 0; s < Strips; ++s) {
      const Strip strip(first + s);
      weights[s] = columns.weight + strip.panel * columns.panel_bytes + strip.unit * 4;
      HWY_UNROLL(3) for (int gate = 0; gate < 3; ++gate) {
        const Sums start = first_sums(columns.sums + strip.panel * 2 * kGates + gate * kUnits + strip.unit);
        HWY_UNROLL(8) for (int row = 0; row < Rows; ++row) sums[s][row][gate] = start;
      }
    }
    Size group = columns.backwards ? columns.groups - 1 : 0;
    const Size next = columns.backwards ? -1 : 1;
    for (Size left = columns.groups; left > 0; --left, group += next) {
      HWY_UNROLL(4) for (int s = 0; s < Strips; ++s) {
        const std::int8_t* weight = weights[s] + group * kGroup;
        const Weight input = weight_at(weight);
        const Weight output = weight_at(weight + 4 * kUnits);
        const Weight candidate = weight_at(weight + 8 * kUnits);
        HWY_UNROLL(8) for (int row = 0; row < Rows; ++row) {
          const Codes four = codes_at(codes + row * stride + group * 4);
          sums[s][row][0] = dot(sums[s][row][0], input, four);
          sums[s][row][1] = dot(sums[s][row][1], output, four);
          sums[s][row][2] = dot(sums[s][row][2], candidate, four);
        }
      }
    }
    HWY_UNROLL(4) for (int s = 0; s < Strips; ++s) {
      HWY_UNROLL(8) for (int row = 0; row < Rows; ++row) {
        HWY_UNROLL(3) for (int gate = 0; gate < 3; ++gate) {
          hn::Store(to_vector(sums[s][row][gate]), Ints(), to + ((s * Rows + row) * 3 + gate) * Size{kLanes});
        }
      }
    }
  }
};

using Run = void (*)(const Int8Columns& columns, Size first, const std::uint8_t* codes, Size stride, std::int32_t* to);

template <int Rows = kTileSize>
Run tile_of(Size rows, Size strips) {
  if constexpr (Rows > 1) {
    if (rows < Rows) return tile_of<Rows - 1>(rows, strips);
  }
  if constexpr (strips_of(Rows) >= 4) {
    if (strips >= 4) return Tile<Rows, 4>::run;
  }
  if constexpr (strips_of(Rows) >= 2) {
    if (strips >= 2) return Tile<Rows, 2>::run;
  }
  return Tile<Rows, 1>::run;
}

/// Calls finish(strip, row, sums[3, kLanes]) for all strips and rows.
template <class Finish>
HWY_INLINE void for_each_sum(const Int8Columns& columns, const Int8Rows& rows, const Finish& finish) {
  HWY_ALIGN std::int32_t sums[kTileSize * 3 * kLanes];
  const Size strips = (columns.units + Size{kLanes} - 1) / Size{kLanes};
  const Size blocks = (rows.rows + kTileSize - 1) / kTileSize;
  const Size most = blocks == 1 ? strips_of(static_cast<int>(rows.rows)) : 1;
  for (Size strip = 0, width = most; strip < strips; strip += width) {
    while (width > strips - strip) width /= 2;
    for (Size block = 0; block < blocks; ++block) {
      const Size first = rows.rows * block / blocks;
      const Size count = rows.rows * (block + 1) / blocks - first;
      const Size at = columns.backwards ? strips - strip - width : strip;
      tile_of(count, width)(columns, at, rows.codes + first * rows.stride, rows.stride, sums);
      const std::int32_t* sum = sums;
      for (Size s = at; s < at + width; ++s) {
        for (Size row = first; row < first + count; ++row, sum += 3 * kLanes) finish(Strip(s), row, sum);
      }
    }
  }
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
  HWY_ALIGN float values[kLanes] = {};

  ShortRow(Size columns, const float* x) {
    for (Size j = 0; j < columns; ++j) values[j] = x[j];
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

/// Stores the first values of a vector, at most `count`.
HWY_INLINE void store(Vector x, Size count, float* to) {
  const Floats d;
  if (count >= Size{kLanes}) return hn::StoreU(x, d, to);
  HWY_ALIGN float values[kLanes];
  hn::Store(x, d, values);
  for (Size j = 0; j < count; ++j) to[j] = values[j];
}

HWY_INLINE Vector to_float(const std::int32_t* sums) { return hn::ConvertTo(Floats(), hn::Load(Ints(), sums)); }

void project(const Int8Columns& weight, const Int8Rows& input, const float* input_scales, float* projected) {
  const Floats d;
  for_each_sum(weight, input, [&](Strip strip, Size row, const std::int32_t* sums) {
    const Vector row_scale = hn::Set(d, input_scales[row]);
    const float* scale = weight.scales + strip.panel * 3 * kGates + strip.unit;
    float* to = projected + (strip.panel * input.rows + row) * kGates + strip.unit;
    for (Size gate = 0; gate < 3; ++gate, scale += kUnits, to += kUnits, sums += kLanes) {
      const Vector factor = hn::Mul(hn::LoadU(d, scale), row_scale);
      hn::Store(hn::MulAdd(to_float(sums), factor, hn::LoadU(d, scale + kGates)), d, to);
    }
  });
}

void step(const Int8Columns& weight, const Int8Step& step) {
  const Floats d;
  for_each_sum(weight, step.state, [&](Strip strip, Size row, const std::int32_t* sums) {
    const float* scale = weight.scales + strip.panel * 3 * kGates + strip.unit;
    const float* projected = step.projected + strip.panel * step.projected_stride + row * kGates + strip.unit;
    const auto gate = [&](Size g) {
      return hn::MulAdd(to_float(sums + g * Size{kLanes}), hn::LoadU(d, scale + g * kUnits),
                        hn::Load(d, projected + g * kUnits));
    };
    float* c = step.c + (strip.panel * step.state.rows + row) * kUnits + strip.unit;
    Vector cell = hn::Load(d, c);
    const Vector state = activate({gate(0), gate(1), gate(2)}, cell);
    hn::Store(cell, d, c);
    const Size unit = strip.panel * kUnits + strip.unit;
    store_codes(hn::Mul(state, hn::Set(d, 127.0f)), step.next + row * step.state.stride + unit);
    store(state, weight.units - unit, step.h + row * weight.units + unit);
  });
}

}  // namespace

constinit const LltmInt8Kernels Compiled<LltmInt8Kernels, Isa::OP_ISA>::table = {quantize_input, quantize_state,
                                                                                 project, step};

}  // namespace op::simd
