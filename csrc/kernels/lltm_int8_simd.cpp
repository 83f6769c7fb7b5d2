#include "kernels/lltm_int8_simd.h"

#include "simd/vector.h"

namespace op::simd {
namespace {

using Size = std::int64_t;

constexpr Size kGates = 48;              // of a panel: 3 gates of 16 units
constexpr Size kGroup = 192;             // bytes of 4 columns of a panel
constexpr float kRounder = 12582912.0f;  // 1.5 * 2^23: adding it leaves the nearest integer in the low bits

float magnitude(float x) { return x < 0 ? -x : x; }

std::uint8_t code_of(float x) {
  const float whole = (x + kRounder) - kRounder;
  return static_cast<std::uint8_t>(static_cast<std::int8_t>(whole));
}

void quantize_row(Size columns, const float* x, float factor, Size stride, std::uint8_t* codes) {
  for (Size j = 0; j < columns; ++j) codes[j] = code_of(x[j] * factor);
  for (Size j = columns; j < stride; ++j) codes[j] = 0;
}

void quantize_input(Size columns, const float* x, const Int8Rows& to, float* scales) {
  for (Size row = 0; row < to.rows; ++row) {
    const float* from = x + row * columns;
    float most = 0;
    bool finite = true;
    for (Size j = 0; j < columns; ++j) {
      const float m = magnitude(from[j]);
      finite = finite && m <= 3.40282347e38f;
      most = m > most ? m : most;
    }
    const bool zero = most < 1e-30f || !finite;
    scales[row] = !finite ? __builtin_nanf("") : zero ? 0.0f : most / 127.0f;
    quantize_row(finite ? columns : 0, from, zero ? 0.0f : 127.0f / most, to.stride, to.codes + row * to.stride);
  }
}

void quantize_state(Size columns, const float* h, const Int8Rows& to) {
  for (Size row = 0; row < to.rows; ++row) {
    std::uint8_t* codes = to.codes + row * to.stride;
    for (Size j = 0; j < to.stride; ++j) {
      const float x = j < columns ? h[row * columns + j] : 0.0f;
      codes[j] = code_of((x >= 1 ? 1.0f : x > -1 ? x : -1.0f) * 127.0f);
    }
  }
}

/// The sums of one row over all columns for the 48 gates of a panel.
void accumulate(Size groups, const std::int8_t* weight, const std::uint8_t* codes, std::int32_t* sums) {
  for (Size j = 0; j < kGates; ++j) sums[j] = 0;
  for (Size group = 0; group < groups; ++group) {
    const std::int8_t* w = weight + group * kGroup;
    const std::uint8_t* q = codes + group * 4;
    for (Size j = 0; j < kGates; ++j) {
      for (Size k = 0; k < 4; ++k) sums[j] += w[4 * j + k] * static_cast<std::int8_t>(q[k]);
    }
  }
}

void project(const Int8Columns& weight, const Int8Rows& input, const float* input_scales, float* projected) {
  const Floats d;
  const Ints i;
  for (Size panel = 0; panel < weight.panels; ++panel) {
    const float* scale = weight.scales + panel * 3 * kGates;
    for (Size row = 0; row < input.rows; ++row, projected += kGates) {
      std::int32_t sums[kGates];
      accumulate(weight.groups, weight.weight + panel * weight.panel_bytes, input.codes + row * input.stride, sums);
      const Vector row_scale = hn::Set(d, input_scales[row]);
      for (std::size_t j = 0; j < kGates; j += kLanes) {
        const Vector factor = hn::Mul(hn::LoadU(d, scale + j), row_scale);
        const Vector sum = hn::ConvertTo(d, hn::LoadU(i, sums + j));
        hn::StoreU(hn::MulAdd(sum, factor, hn::LoadU(d, scale + kGates + j)), d, projected + j);
      }
    }
  }
}

/// The new state of a panel's units in one row.
void activate(const std::int32_t* sums, const float* scale, const float* projected, float* c, float* h) {
  const Floats d;
  const Ints i;
  const auto gate = [&](std::size_t j) {
    const Vector sum = hn::ConvertTo(d, hn::LoadU(i, sums + j));
    return hn::MulAdd(sum, hn::LoadU(d, scale + j), hn::LoadU(d, projected + j));
  };
  for (std::size_t j = 0; j < kTile; j += kLanes) {
    const Vector cell = hn::MulAdd(sigmoid(gate(j)), elu(gate(32 + j)), hn::LoadU(d, c + j));
    hn::StoreU(cell, d, c + j);
    hn::StoreU(hn::Mul(sigmoid(gate(16 + j)), tanh(cell)), d, h + j);
  }
}

void step(const Int8Columns& weight, const Int8Step& step) {
  for (Size panel = 0; panel < weight.panels; ++panel) {
    for (Size row = 0; row < step.state.rows; ++row) {
      std::int32_t sums[kGates];
      float h[kTile];
      accumulate(weight.groups, weight.weight + panel * weight.panel_bytes, step.state.codes + row * step.state.stride,
                 sums);
      activate(sums, weight.scales + panel * 3 * kGates, step.projected + panel * step.projected_stride + row * kGates,
               step.c + (panel * step.state.rows + row) * 16, h);
      for (Size j = 0; j < 16; ++j) {
        const Size unit = panel * 16 + j;
        if (unit < step.hidden) step.h[row * step.hidden + unit] = h[j];
        step.next[row * step.state.stride + unit] = code_of(h[j] * 127.0f);
      }
    }
  }
}

}  // namespace

constinit const LltmInt8Kernels Compiled<LltmInt8Kernels, Isa::OP_ISA>::table = {quantize_input, quantize_state,
                                                                                 project, step};

}  // namespace op::simd
