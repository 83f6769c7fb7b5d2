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

constexpr std::int64_t kNear = 256;  // rows of all steps that go back together

/// Columns of the weight as a right factor, one row for each gate.
Panels columns_of(const Sizes& size, const float* weight, std::int64_t first, std::int64_t count) {
  Panels panels(3 * size.hidden, count);
  for (std::int64_t k = 0; k < 3 * size.hidden; ++k) {
    panels.set_row(k, weight + k * (size.hidden + size.inputs) + first);
  }
  return panels;
}

/// The gradients of the sums, of the input, and of the first state.
class GoBack {
 public:
  GoBack(const Sizes& size, const float* weight, const simd::LltmSlope& all, float* d_input)
      : size_(size),
        all_(all),
        d_input_(d_input),
        state_(columns_of(size, weight, 0, size.hidden)),
        input_(columns_of(size, weight, size.hidden, size.inputs)) {}

  /// Goes from step `last` to step `first`; d_h and d_c become the gradients of the state before it.
  void run(std::int64_t first, std::int64_t last, const Parallel& parallel) const {
    const std::int64_t work = 3 * size_.hidden * (size_.hidden + size_.inputs);
    parallel(size_.batch, grain((last - first) * work), [&](std::int64_t from, std::int64_t to) {
      for (std::int64_t step = last - 1; step >= first; --step) make(step, from, to);
    });
  }

 private:
  void make(std::int64_t step, std::int64_t from, std::int64_t to) const {
    const std::int64_t gates = 3 * size_.hidden;
    const std::int64_t row = step * size_.batch + from;
    const std::int64_t now = row * size_.hidden;
    const std::int64_t at = from * size_.hidden;
    float* d_gates = all_.d_gates + 3 * now;
    simd::kernels<simd::LltmKernels>().differentiate({to - from, size_.hidden, all_.d_output + now, all_.cells + now,
                                                      all_.gates + 3 * now, all_.d_h + at, all_.d_c + at, d_gates});
    state_.multiply(to - from, gates, d_gates, gates, 1, nullptr, all_.d_h + at, size_.hidden);
    input_.multiply(to - from, gates, d_gates, gates, 1, nullptr, d_input_ + row * size_.inputs, size_.inputs);
  }

  const Sizes& size_;
  const simd::LltmSlope& all_;
  float* d_input_;
  Panels state_;
  Panels input_;
};

/// d_weight = d_gates^T * [h before each step, x], over blocks of rows of both, and d_bias, the sums of d_gates.
class WeightGradient {
 public:
  WeightGradient(const Sizes& size, const float* input, const float* h0, const float* output, const float* d_gates,
                 float* d_weight, float* d_bias)
      : size_(size),
        input_(input),
        h0_(h0),
        output_(output),
        d_gates_(d_gates),
        d_weight_(d_weight),
        d_bias_(d_bias),
        states_(kRows, size.hidden),
        inputs_(kRows, size.inputs) {
    std::fill_n(d_weight, 3 * size.hidden * (size.hidden + size.inputs), 0.0f);
    std::fill_n(d_bias, 3 * size.hidden, 0.0f);
  }

  /// Adds the share of some rows.
  void add(std::int64_t first, std::int64_t last, const Parallel& parallel) const {
    for (; first < last; first += kRows) add_block(first, std::min(kRows, last - first), parallel);
  }

 private:
  static constexpr std::int64_t kRows = 128;  // so that a strip of gates, and a panel, stay in the nearest cache
  static constexpr std::int64_t kStrip = 16;

  void pack(std::int64_t first, std::int64_t count) const {
    for (std::int64_t k = 0; k < count; ++k) {
      const std::int64_t row = first + k;
      const bool start = row < size_.batch;
      states_.set_row(k, start ? h0_ + row * size_.hidden : output_ + (row - size_.batch) * size_.hidden);
      inputs_.set_row(k, input_ + row * size_.inputs);
    }
  }

  /// Copies columns of the gates to strip[count][kStrip].
  void copy_strip(std::int64_t first, std::int64_t count, std::int64_t gate, std::int64_t width, float* strip) const {
    const float* from = d_gates_ + first * 3 * size_.hidden + gate;
    for (std::int64_t k = 0; k < count; ++k, from += 3 * size_.hidden, strip += kStrip) {
      std::copy_n(from, width, strip);
    }
  }

  void add_block(std::int64_t first, std::int64_t count, const Parallel& parallel) const {
    const std::int64_t gates = 3 * size_.hidden;
    const std::int64_t columns = size_.hidden + size_.inputs;
    const std::int64_t strips = (gates + kStrip - 1) / kStrip;
    pack(first, count);
    parallel(strips, grain(kStrip * count * columns), [&](std::int64_t from, std::int64_t to) {
      const Scratch strip(kRows * kStrip);
      for (std::int64_t gate = from * kStrip; gate < std::min(gates, to * kStrip); gate += kStrip) {
        const std::int64_t width = std::min(kStrip, gates - gate);
        copy_strip(first, count, gate, width, strip.get());
        matrix::add_rows(count, width, strip.get(), kStrip, d_bias_ + gate);
        float* c = d_weight_ + gate * columns;
        states_.multiply(width, count, strip.get(), 1, kStrip, c, c, columns);
        c += size_.hidden;
        inputs_.multiply(width, count, strip.get(), 1, kStrip, c, c, columns);
      }
    });
  }

  const Sizes& size_;
  const float* input_;
  const float* h0_;
  const float* output_;
  const float* d_gates_;
  float* d_weight_;
  float* d_bias_;
  Panels states_;
  Panels inputs_;
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
  const simd::LltmSlope all = {size.batch, size.hidden, grad_output.data, cells.data,
                               gates.data, d_h0.data,   d_c0.data,        d_gates.get()};
  const GoBack back(size, weight.data, all, d_input.data);
  const WeightGradient gradient(size, input.data, h0.data, output.data, d_gates.get(), d_weight.data, d_bias.data);
  // As many steps at a time as leave their gradients in the cache, where the second product finds them.
  const std::int64_t steps = std::max<std::int64_t>(1, kNear / std::max<std::int64_t>(1, size.batch));
  for (std::int64_t last = size.steps; last > 0; last -= steps) {
    const std::int64_t first = std::max<std::int64_t>(0, last - steps);
    back.run(first, last, parallel);
    gradient.add(first * size.batch, last * size.batch, parallel);
  }
}

}  // namespace op
