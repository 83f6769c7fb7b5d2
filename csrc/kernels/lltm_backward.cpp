#include <algorithm>

#include "kernels/lltm.h"
#include "kernels/lltm_sequence.h"
#include "kernels/lltm_simd.h"
#include "kernels/matrix.h"

namespace op {
namespace {

using lltm::grain;
using lltm::Sizes;
using matrix::Panels;

/// Columns of the weight as a right factor, one row for each gate.
Panels columns_of(const Sizes& size, const float* weight, std::int64_t first, std::int64_t count) {
  Panels panels(3 * size.hidden, count);
  for (std::int64_t k = 0; k < 3 * size.hidden; ++k) {
    panels.set_row(k, weight + k * (size.hidden + size.inputs) + first);
  }
  return panels;
}

/// Goes back through the steps: d_gates become the gradients of the sums, d_h and d_c those of the first state.
void go_back(const Sizes& size, const float* weight, simd::LltmSlope all, const Parallel& parallel) {
  const std::int64_t gates = 3 * size.hidden;
  const std::int64_t states = size.batch * size.hidden;
  const Panels state = columns_of(size, weight, 0, size.hidden);
  parallel(size.batch, grain(size.steps * gates * size.hidden), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t step = size.steps - 1; step >= 0; --step) {
      const std::int64_t at = first * size.hidden;
      const std::int64_t now = step * states + at;
      float* d_gates = all.d_gates + 3 * now;
      simd::kernels<simd::LltmKernels>().differentiate({last - first, size.hidden, all.d_output + now, all.cells + now,
                                                        all.gates + 3 * now, all.d_h + at, all.d_c + at, d_gates});
      state.multiply(last - first, gates, d_gates, gates, 1, nullptr, all.d_h + at, size.hidden);
    }
  });
}

void input_gradient(const Sizes& size, const float* weight, const float* d_gates, float* d_input,
                    const Parallel& parallel) {
  const std::int64_t gates = 3 * size.hidden;
  const Panels input = columns_of(size, weight, size.hidden, size.inputs);
  parallel(size.steps * size.batch, grain(gates * size.inputs), [&](std::int64_t first, std::int64_t last) {
    input.multiply(last - first, gates, d_gates + first * gates, gates, 1, nullptr, d_input + first * size.inputs,
                   size.inputs);
  });
}

/// d_weight = d_gates^T * [h before each step, x], over blocks of rows of both, and d_bias, the sums of d_gates.
class WeightGradient {
 public:
  WeightGradient(const Sizes& size, const float* input, const float* h0, const float* output, const float* d_gates)
      : size_(size), input_(input), h0_(h0), output_(output), d_gates_(d_gates) {}

  void run(float* d_weight, float* d_bias, const Parallel& parallel) const {
    const std::int64_t rows = size_.steps * size_.batch;
    const std::int64_t gates = 3 * size_.hidden;
    const Panels states(std::min(rows, kBlock), size_.hidden);
    const Panels inputs(std::min(rows, kBlock), size_.inputs);
    parallel(gates, grain(8 * rows), [&](std::int64_t from, std::int64_t to) {
      matrix::sum_rows(rows, to - from, d_gates_ + from, gates, d_bias + from);
    });
    if (rows == 0) std::fill_n(d_weight, gates * (size_.hidden + size_.inputs), 0.0f);
    for (std::int64_t first = 0; first < rows; first += kBlock) {
      const std::int64_t count = std::min(kBlock, rows - first);
      pack(first, count, states, inputs);
      add(first, count, states, inputs, d_weight, parallel);
    }
  }

 private:
  static constexpr std::int64_t kBlock = 256;  // rows, so that a strip of gates stays in the nearest cache
  static constexpr std::int64_t kStrip = 16;

  void pack(std::int64_t first, std::int64_t count, const Panels& states, const Panels& inputs) const {
    for (std::int64_t k = 0; k < count; ++k) {
      const std::int64_t row = first + k;
      const bool start = row < size_.batch;
      states.set_row(k, start ? h0_ + row * size_.hidden : output_ + (row - size_.batch) * size_.hidden);
      inputs.set_row(k, input_ + row * size_.inputs);
    }
  }

  void add(std::int64_t first, std::int64_t count, const Panels& states, const Panels& inputs, float* d_weight,
           const Parallel& parallel) const {
    const std::int64_t gates = 3 * size_.hidden;
    const std::int64_t columns = size_.hidden + size_.inputs;
    const std::int64_t strips = (gates + kStrip - 1) / kStrip;
    parallel(strips, grain(kStrip * count * columns), [&](std::int64_t from, std::int64_t to) {
      const Scratch strip(kBlock * kStrip);
      for (std::int64_t gate = from * kStrip; gate < std::min(gates, to * kStrip); gate += kStrip) {
        const std::int64_t width = std::min(kStrip, gates - gate);
        for (std::int64_t k = 0; k < count; ++k) {
          std::copy_n(d_gates_ + (first + k) * gates + gate, width, strip.get() + k * kStrip);
        }
        float* c = d_weight + gate * columns;
        const bool fresh = first == 0;
        states.multiply(width, count, strip.get(), 1, kStrip, fresh ? nullptr : c, c, columns);
        c += size_.hidden;
        inputs.multiply(width, count, strip.get(), 1, kStrip, fresh ? nullptr : c, c, columns);
      }
    });
  }

  const Sizes& size_;
  const float* input_;
  const float* h0_;
  const float* output_;
  const float* d_gates_;
};

}  // namespace

void LltmBackward::compute(View<const float> grad_output, View<const float> grad_h, View<const float> grad_c,
                           View<const float> input, View<const float> h0, View<const float>, View<const float> weight,
                           View<const float> output, View<const float> gates, View<const float> cells,
                           View<float> d_input, View<float> d_h0, View<float> d_c0, View<float> d_weight,
                           View<float> d_bias, const Parallel& parallel) {
  const Sizes size(input, h0);
  const Scratch d_gates(gates.size());
  std::copy(grad_h.begin(), grad_h.end(), d_h0.data);
  std::copy(grad_c.begin(), grad_c.end(), d_c0.data);
  go_back(size, weight.data,
          {size.batch, size.hidden, grad_output.data, cells.data, gates.data, d_h0.data, d_c0.data, d_gates.get()},
          parallel);
  input_gradient(size, weight.data, d_gates.get(), d_input.data, parallel);
  WeightGradient(size, input.data, h0.data, output.data, d_gates.get()).run(d_weight.data, d_bias.data, parallel);
}

}  // namespace op
