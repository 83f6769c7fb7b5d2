#include "kernels/lltm_simd.h"

#include "kernels/tile.h"

namespace op::simd {
namespace {

constexpr auto kUnits = static_cast<std::int64_t>(kLanes);  // of a strip
constexpr std::int64_t kGroup = 4;                          // strips that rows pass together

constexpr auto kTileUnits = static_cast<std::int64_t>(kTile);
constexpr std::int64_t kNear = 250'000 * kTileUnits;  // 1 MB of weights, as hidden units times floats of a panel

/// Turns the sums of one row and strip into gates, and makes the new state.
HWY_INLINE void finish(const LltmStep& s, std::int64_t row, std::int64_t unit, const float* sums) {
  const Floats d;
  const std::int64_t count = s.hidden - unit;
  const std::int64_t at = row * s.hidden + unit;
  const Vector input = sigmoid(hn::Load(d, sums));
  const Vector output = sigmoid(hn::Load(d, sums + kLanes));
  const Vector candidate = elu(hn::Load(d, sums + 2 * kLanes));
  const Vector c = hn::MulAdd(input, candidate, load(s.c_old + at, count));
  store(c, s.c + at, count);
  store(hn::Mul(output, tanh(c)), s.h + at, count);
  if (s.gates == nullptr) return;
  float* gates = s.gates + row * 3 * s.hidden + unit;
  store(input, gates, count);
  store(output, gates + s.hidden, count);
  store(candidate, gates + 2 * s.hidden, count);
}

/// Some rows and strips; with kAhead, a part of the next panel is fetched meanwhile.
template <int kRows, int kStrips, bool kAhead = false>
HWY_NOINLINE void tile(const LltmStep& s, std::int64_t row, std::int64_t strip, const float* ahead = nullptr) {
  Sums<kRows, kStrips, 3> sums;
  const float* start = s.start + strip_offset(strip, s.start_panel) + row * s.start_row;
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < kStrips; ++j) {
#pragma GCC unroll 8
      for (int g = 0; g < 3; ++g) {
        sums[i][j][g] = hn::LoadU(Floats(), start + i * s.start_row + strip_offset(j, s.start_panel) + g * kTile);
      }
    }
  }
  const float* weight = s.weight + strip_offset(strip, s.panel);
  accumulate(sums, s.inputs, {s.x + row * s.inputs, s.inputs, 1}, weight + s.hidden * 3 * kTile, s.panel);
  accumulate<kAhead>(sums, s.hidden, {s.h_old + row * s.hidden, s.hidden, 1}, weight, s.panel, ahead);
  HWY_ALIGN float ready[kRows][kStrips][3 * kLanes];
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < kStrips; ++j) {
#pragma GCC unroll 8
      for (int g = 0; g < 3; ++g) hn::Store(sums[i][j][g], Floats(), ready[i][j] + g * kLanes);
    }
  }
  for (int i = 0; i < kRows; ++i) {
    for (int j = 0; j < kStrips; ++j) finish(s, row + i, (strip + j) * kUnits, ready[i][j]);
  }
}

/// The last rows, fewer than a tile has: more strips at a time instead.
template <int kRows>
HWY_INLINE void rest(const LltmStep& s, std::int64_t row, std::int64_t strip, std::int64_t strips) {
  if (s.rows - row != kRows) {
    if constexpr (kRows > 1) rest<kRows - 1>(s, row, strip, strips);
    return;
  }
  constexpr int kStrips = kTileStrips<kRows>;
  std::int64_t i = 0;
  for (; i + kStrips <= strips; i += kStrips) tile<kRows, kStrips>(s, row, strip + i);
  for (; i < strips; ++i) tile<kRows, 1>(s, row, strip + i);
}

/// Whole tiles of rows through a strip. Weights that do not fit the second cache are fetched one panel ahead, over the
/// three tiles after the first, which still waits for lines of its own.
void pass(const LltmStep& s, std::int64_t rows, std::int64_t strip) {
  constexpr auto kCount = static_cast<std::int64_t>(kParts);
  const std::int64_t next = strip / kCount + (s.down ? -1 : 1);
  const bool begins = strip % kCount == (s.down ? kCount - 1 : 0);
  const bool far = s.hidden * s.panel > kNear && begins && next >= 0 && next * kTileUnits < s.hidden;
  for (std::int64_t row = 0; row < rows; row += kTileRows) {
    const std::int64_t part = row / kTileRows - 1;
    if (far && part >= 0 && part < 3) {
      tile<kTileRows, 1, true>(s, row, strip, s.weight + next * s.panel + part * s.hidden * kLine);
    } else {
      tile<kTileRows, 1>(s, row, strip);
    }
  }
}

/// All rows through a few strips, whose weights stay near meanwhile.
void group(const LltmStep& s, std::int64_t strip, std::int64_t strips) {
  const std::int64_t whole = s.rows / kTileRows * kTileRows;
  for (std::int64_t i = 0; i < strips; ++i) pass(s, whole, strip + (s.down ? strips - 1 - i : i));
  if (whole < s.rows) rest<kTileRows - 1>(s, whole, strip, strips);
}

void step(const LltmStep& s) {
  const std::int64_t strips = (s.hidden + kUnits - 1) / kUnits;
  const std::int64_t groups = (strips + kGroup - 1) / kGroup;
  for (std::int64_t i = 0; i < groups; ++i) {
    const std::int64_t first = kGroup * (s.down ? groups - 1 - i : i);
    group(s, first, strips - first < kGroup ? strips - first : kGroup);
  }
}

HWY_INLINE void differentiate_units(const LltmSlope& s, std::int64_t row, std::int64_t unit) {
  const std::int64_t count = s.hidden - unit;
  const std::int64_t at = row * s.hidden + unit;
  const float* gates = s.gates + row * 3 * s.hidden + unit;
  float* d_gates = s.d_gates + row * 3 * s.hidden + unit;
  const Vector one = hn::Set(Floats(), 1.0f);
  const Vector input = load(gates, count);
  const Vector output = load(gates + s.hidden, count);
  const Vector candidate = load(gates + 2 * s.hidden, count);
  const Vector state = tanh(load(s.cells + at, count));
  const Vector d_h = hn::Add(load(s.d_output + at, count), load(s.d_h + at, count));
  // Through h = output * tanh(c), then c = c_old + input * candidate.
  const Vector d_state = hn::Mul(hn::Mul(d_h, output), hn::NegMulAdd(state, state, one));
  const Vector d_c = hn::Add(load(s.d_c + at, count), d_state);
  const Vector slope = hn::IfThenElse(hn::Gt(candidate, hn::Zero(Floats())), one, hn::Add(candidate, one));
  store(d_c, s.d_c + at, count);
  const Vector d_input = hn::Mul(hn::Mul(d_c, candidate), hn::NegMulAdd(input, input, input));
  store(d_input, d_gates, count);
  store(hn::Mul(hn::Mul(d_h, state), hn::NegMulAdd(output, output, output)), d_gates + s.hidden, count);
  store(hn::Mul(hn::Mul(d_c, input), slope), d_gates + 2 * s.hidden, count);
}

void differentiate(const LltmSlope& s) {
  for (std::int64_t row = 0; row < s.rows; ++row) {
    for (std::int64_t unit = 0; unit < s.hidden; unit += kUnits) differentiate_units(s, row, unit);
  }
}

}  // namespace

constinit const LltmKernels Compiled<LltmKernels, Isa::OP_ISA>::table = {step, differentiate};

}  // namespace op::simd
