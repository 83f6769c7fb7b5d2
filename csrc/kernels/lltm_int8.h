// LLTM with 8-bit weights and activations; the cell is that of lltm.h, the sums over columns are exact in int32.
//
// The weight comes in panels of 16 hidden units, and a panel in groups of 4 columns: first the groups of the state,
// then those of the input, both padded with zeros. A group is 3 gates x 16 units x 4 columns, the shape that dot
// products of bytes want. `sums` holds the sum of a unit's weights over the state and over the input, for dot products
// of unsigned bytes. `scales` holds per unit the scale of the state's weights over 127, the scale of the input's
// weights, and the bias. Padding units are 0.
//
// The state is round(clamp(h, -1, 1) * 127), to nearest even. A row x of the input has the scale m / 127 with
// m = max|x|, and is round(x * (127 / m)); where m is below 1e-30 the row counts as zero.
//   gate = sum_h * scales[0] + sum_x * (scales[1] * scale of x) + bias
//
// A row of the batch whose h0 or c0 has a NaN, or whose input has a value that is not finite, is NaN in all outputs
// from that step on; the other rows are not touched.
#pragma once

#include "op.h"

namespace op {

struct LltmInt8 {
  static constexpr auto signature =
      "lltm_int8(input[T,B,I], h0[B,H], c0[B,H], weight[(H+15)/16,(H+3)/4+(I+3)/4,192], sums[(H+15)/16,2,48], "
      "scales[(H+15)/16,3,48]) -> output[T,B,H], h[B,H], c[B,H]";
  static void compute(View<const float> input, View<const float> h0, View<const float> c0,
                      View<const std::int8_t> weight, View<const std::int32_t> sums, View<const float> scales,
                      View<float> output, View<float> h, View<float> c, const Parallel& parallel);
};

}  // namespace op
