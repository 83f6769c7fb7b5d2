// One step of the recurrent cell. Sizes and distances are in elements.
#pragma once

#include "simd/isa.h"

namespace op::simd {

/// Every tensor starts at the first of `rows`.
struct LltmStep {
  std::int64_t rows = 0;
  std::int64_t hidden = 0;
  std::int64_t inputs = 0;        // columns of x that the sums do not have yet
  const float* weight = nullptr;  // panels of [hidden, x and bias][48]
  std::int64_t panel = 0;         // distance of panels
  const float* start = nullptr;   // what the sums start from: [panels][rows][48]
  std::int64_t start_panel = 0;
  std::int64_t start_row = 0;
  const float* x = nullptr;
  const float* h_old = nullptr;
  const float* c_old = nullptr;
  float* h = nullptr;
  float* c = nullptr;      // may be c_old
  float* gates = nullptr;  // [rows][3 * hidden] for the activated gates, where they are wanted
  bool down = false;       // from the last panel to the first
};

/// The gradients at one step.
struct LltmSlope {
  std::int64_t rows;
  std::int64_t hidden;
  const float* d_output;
  const float* cells;  // after the step
  const float* gates;  // activated, [rows][3 * hidden]
  float* d_h;
  float* d_c;      // of the state after the step; becomes that of the state before
  float* d_gates;  // of the sums
};

struct LltmKernels {
  void (*step)(const LltmStep& step);
  void (*differentiate)(const LltmSlope& slope);
};
OP_SIMD_TABLES(LltmKernels)

}  // namespace op::simd
