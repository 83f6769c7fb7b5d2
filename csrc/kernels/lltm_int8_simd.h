// The loops of the 8-bit LLTM; the layouts are those of lltm_int8.h.
#pragma once

#include <cstdint>

#include "simd/isa.h"

namespace op::simd {

/// Rows of 8-bit activations, `stride` bytes apart, as the dot products of the instruction set want them.
struct Int8Rows {
  std::int64_t rows;
  std::int64_t stride;
  std::uint8_t* codes;
};

/// The columns of the state or of the input in the weight: pointers to what the first panel has of them.
struct Int8Columns {
  std::int64_t groups;       // of 4 columns
  std::int64_t units;        // without padding
  std::int64_t panel_bytes;  // from one panel to the next in `weight`
  const std::int8_t* weight;
  const std::int32_t* sums;  // 96 from one panel to the next
  const float* scales;       // 144 from one panel to the next
  bool backwards = false;    // the order in which the weight is read
};

/// One step of the recurrence for some rows.
struct Int8Step {
  Int8Rows state;                 // h of the step before
  std::uint8_t* next;             // h of this step, as `state`
  const float* projected;         // [row, 48] of the first panel
  std::int64_t projected_stride;  // from one panel to the next
  float* c;                       // [panels, rows, 16], made new in place
  float* h;                       // [rows, hidden]
};

struct LltmInt8Kernels {
  /// Rows of the input, each by its own largest value. The scale is NaN where a value of the row is not finite.
  void (*quantize_input)(std::int64_t columns, const float* x, const Int8Rows& to, float* scales);
  /// Rows of the state in [-1, 1]; what lies outside is clamped, a NaN counts as any value.
  void (*quantize_state)(std::int64_t columns, const float* h, const Int8Rows& to);
  /// The part of the gates that does not depend on the state: projected[panels, rows, 48].
  void (*project)(const Int8Columns& weight, const Int8Rows& input, const float* input_scales, float* projected);
  void (*step)(const Int8Columns& weight, const Int8Step& step);
};

OP_SIMD_TABLES(LltmInt8Kernels)

}  // namespace op::simd
