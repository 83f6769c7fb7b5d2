// LLTM, a recurrent cell with an input and an output gate and no forget gate, over a sequence:
//   i, o = sigmoid(...), g = elu(...) of weight * [h, x] + bias;  c' = c + i * g;  h' = o * tanh(c')
// The rows of `weight` and `bias` are input gate, output gate, candidate; the columns are [h, x].
#pragma once

#include "op.h"

namespace op {

struct Lltm {
  static constexpr auto signature =
      "lltm(input[T,B,I], h0[B,H], c0[B,H], weight[3H,H+I], bias[3H]) -> output[T,B,H], h[B,H], c[B,H]";
  static void compute(View<const float> input, View<const float> h0, View<const float> c0, View<const float> weight,
                      View<const float> bias, View<float> output, View<float> h, View<float> c,
                      const Parallel& parallel);
};

/// The same with a weight that is packed once: a panel holds 16 hidden units (padded with zeros), its rows are the
/// columns of Lltm's weight (h, then x) and last the bias, and a row is input gate, output gate and candidate of the
/// 16 units.
struct LltmPacked {
  static constexpr auto signature =
      "lltm_packed(input[T,B,I], h0[B,H], c0[B,H], weight[(H+15)/16,H+I+1,48]) -> output[T,B,H], h[B,H], c[B,H]";
  static void compute(View<const float> input, View<const float> h0, View<const float> c0, View<const float> weight,
                      View<float> output, View<float> h, View<float> c, const Parallel& parallel);
};

/// Lltm that also gives what its gradient needs: the activated gates (rows as in `bias`) and the cell states.
struct LltmTraining {
  static constexpr auto signature =
      "lltm_training(input[T,B,I], h0[B,H], c0[B,H], weight[3H,H+I], bias[3H]) -> output[T,B,H], h[B,H], c[B,H], "
      "gates[T,B,3H], cells[T,B,H]";
  static void compute(View<const float> input, View<const float> h0, View<const float> c0, View<const float> weight,
                      View<const float> bias, View<float> output, View<float> h, View<float> c, View<float> gates,
                      View<float> cells, const Parallel& parallel);
};

/// The gradients of Lltm, from what LltmTraining gave.
struct LltmBackward {
  static constexpr auto signature =
      "lltm_backward(grad_output[T,B,H], grad_h[B,H], grad_c[B,H], input[T,B,I], h0[B,H], c0[B,H], weight[3H,H+I], "
      "output[T,B,H], gates[T,B,3H], cells[T,B,H]) -> d_input[T,B,I], d_h0[B,H], d_c0[B,H], d_weight[3H,H+I], "
      "d_bias[3H]";
  static void compute(View<const float> grad_output, View<const float> grad_h, View<const float> grad_c,
                      View<const float> input, View<const float> h0, View<const float> c0, View<const float> weight,
                      View<const float> output, View<const float> gates, View<const float> cells, View<float> d_input,
                      View<float> d_h0, View<float> d_c0, View<float> d_weight, View<float> d_bias,
                      const Parallel& parallel);
};

}  // namespace op
