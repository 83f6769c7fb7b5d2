#include "kernels/lltm_steps.h"

#include <algorithm>

#include "kernels/activation.h"
#include "kernels/clones.h"

namespace op::lltm {
namespace {

/// Turns the sums of one row into activated gates, and makes the new state.
OP_CLONES void activate(std::int64_t hidden, float* gates, const float* c_old, float* c_new, float* h_new) {
  float* input = gates;
  float* output = gates + hidden;
  float* candidate = gates + 2 * hidden;
#pragma GCC ivdep
  for (std::int64_t j = 0; j < hidden; ++j) {
    input[j] = fast_sigmoid(input[j]);
    output[j] = fast_sigmoid(output[j]);
    candidate[j] = fast_elu(candidate[j]);
    c_new[j] = c_old[j] + input[j] * candidate[j];
    h_new[j] = output[j] * fast_tanh(c_new[j]);
  }
}

}  // namespace

void project(const Sizes& size, std::int64_t rows, const float* input, const matrix::Panels& weight, const float* bias,
             float* gates, const Parallel& parallel) {
  parallel(rows, size.grain, [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t row = from; row < to; ++row) std::copy_n(bias, size.gates, gates + row * size.gates);
    matrix::multiply_add(to - from, {input + from * size.inputs, size.inputs}, weight, gates + from * size.gates,
                         size.gates);
  });
}

void recur(const Sizes& size, std::int64_t steps, const matrix::Panels& weight, const float* h0, const float* c0,
           float* gates, const States& to, const Parallel& parallel) {
  parallel(size.batch, size.grain, [&](std::int64_t first, std::int64_t last) {
    const float* h_old = h0;
    const float* c_old = c0;
    for (std::int64_t step = 0; step < steps; ++step) {
      float* g = gates + step * size.batch * size.gates;
      float* h_new = to.h + step * to.h_step;
      float* c_new = to.c + step * to.c_step;
      matrix::multiply_add(last - first, {h_old + first * size.hidden, size.hidden}, weight, g + first * size.gates,
                           size.gates);
      for (std::int64_t row = first; row < last; ++row) {
        const std::int64_t at = row * size.hidden;
        activate(size.hidden, g + row * size.gates, c_old + at, c_new + at, h_new + at);
      }
      h_old = h_new;
      c_old = c_new;
    }
  });
}

}  // namespace op::lltm
