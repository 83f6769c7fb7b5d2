#include <algorithm>

#include "kernels/activation.h"
#include "kernels/clones.h"
#include "kernels/lltm.h"
#include "kernels/lltm_steps.h"

namespace op {
namespace {

using lltm::Scratch;
using lltm::Sizes;
using matrix::multiply_add;
using matrix::Panels;

/// What the forward pass saved, and the gates that end as the gradients of their sums.
struct Trace {
  const float* output;
  const float* cells;
  Scratch gates;
};

/// Turns the activated gates of one row into the gradients of their sums, and the gradient of the new cell state
/// into that of the old one.
OP_CLONES void differentiate(std::int64_t hidden, const float* d_output, const float* d_h, const float* c, float* gates,
                             float* d_c) {
  float* input = gates;
  float* output = gates + hidden;
  float* candidate = gates + 2 * hidden;
#pragma GCC ivdep
  for (std::int64_t j = 0; j < hidden; ++j) {
    const float i = input[j];
    const float o = output[j];
    const float g = candidate[j];
    const float tanh_c = fast_tanh(c[j]);
    const float dh = d_output[j] + d_h[j];
    const float dc = d_c[j] + dh * o * (1.0f - tanh_c * tanh_c);
    const float slope = g > 0.0f ? 1.0f : g + 1.0f;  // of elu, by its value
    input[j] = dc * g * i * (1.0f - i);
    output[j] = dh * tanh_c * o * (1.0f - o);
    candidate[j] = dc * i * slope;
    d_c[j] = dc;
  }
}

/// Goes back through the steps; the gates of the trace end as the gradients of their sums.
void go_back(const Sizes& size, const Trace& trace, const float* weight, const float* grad_output, float* d_h,
             float* d_c, const Parallel& parallel) {
  const Panels state(size.gates, size.hidden, {weight, size.columns});
  parallel(size.batch, size.grain, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t step = size.steps - 1; step >= 0; --step) {
      for (std::int64_t row = first; row < last; ++row) {
        const std::int64_t at = (step * size.batch + row) * size.hidden;
        differentiate(size.hidden, grad_output + at, d_h + row * size.hidden, trace.cells + at,
                      trace.gates.get() + 3 * at, d_c + row * size.hidden);
      }
      std::fill(d_h + first * size.hidden, d_h + last * size.hidden, 0.0f);
      multiply_add(last - first, {trace.gates.get() + (step * size.batch + first) * size.gates, size.gates}, state,
                   d_h + first * size.hidden, size.hidden);
    }
  });
}

void input_gradient(const Sizes& size, const float* d_gates, const float* weight, float* d_input,
                    const Parallel& parallel) {
  const Panels factor(size.gates, size.inputs, {weight + size.hidden, size.columns});
  parallel(size.steps * size.batch, size.grain, [&](std::int64_t from, std::int64_t to) {
    std::fill(d_input + from * size.inputs, d_input + to * size.inputs, 0.0f);
    multiply_add(to - from, {d_gates + from * size.gates, size.gates}, factor, d_input + from * size.inputs,
                 size.inputs);
  });
}

/// d_weight = d_gates^T * [h before each step, input], one product for each of h0, the other states and the input.
void weight_gradient(const Sizes& size, const Trace& trace, const float* input, const float* h0, float* d_weight,
                     const Parallel& parallel) {
  const std::int64_t rows = size.steps * size.batch;
  const std::int64_t first = std::min(rows, size.batch);
  const Panels start(first, size.hidden, {h0, size.hidden});
  const Panels states(rows - first, size.hidden, {trace.output, size.hidden});
  const Panels inputs(rows, size.inputs, {input, size.inputs});
  parallel(size.gates, std::max<std::int64_t>(4, size.grain), [&](std::int64_t from, std::int64_t to) {
    const float* d_gates = trace.gates.get() + from;
    float* out = d_weight + from * size.columns;
    std::fill(out, d_weight + to * size.columns, 0.0f);
    multiply_add(to - from, {d_gates, 1, size.gates}, start, out, size.columns);
    multiply_add(to - from, {d_gates + first * size.gates, 1, size.gates}, states, out, size.columns);
    multiply_add(to - from, {d_gates, 1, size.gates}, inputs, out + size.hidden, size.columns);
  });
}

void bias_gradient(const Sizes& size, const float* d_gates, float* d_bias) {
  std::fill_n(d_bias, size.gates, 0.0f);
  for (std::int64_t row = 0; row < size.steps * size.batch; ++row) {
    for (std::int64_t j = 0; j < size.gates; ++j) d_bias[j] += d_gates[row * size.gates + j];
  }
}

}  // namespace

void LltmBackward::compute(View<const float> grad_output, View<const float> grad_h, View<const float> grad_c,
                           View<const float> input, View<const float> h0, View<const float>, View<const float> weight,
                           View<const float> output, View<const float> gates, View<const float> cells,
                           View<float> d_input, View<float> d_h0, View<float> d_c0, View<float> d_weight,
                           View<float> d_bias, const Parallel& parallel) {
  const Sizes size{input.shape[0], input.shape[1], input.shape[2], h0.shape[1]};
  const Trace trace{output.data, cells.data, Scratch(gates.size())};
  std::copy(gates.begin(), gates.end(), trace.gates.get());
  std::copy(grad_h.begin(), grad_h.end(), d_h0.data);
  std::copy(grad_c.begin(), grad_c.end(), d_c0.data);
  go_back(size, trace, weight.data, grad_output.data, d_h0.data, d_c0.data, parallel);
  input_gradient(size, trace.gates.get(), weight.data, d_input.data, parallel);
  weight_gradient(size, trace, input.data, h0.data, d_weight.data, parallel);
  bias_gradient(size, trace.gates.get(), d_bias.data);
}

}  // namespace op
