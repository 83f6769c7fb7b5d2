#include "kernels/lltm.h"

#include <algorithm>
#include <memory>

#include "kernels/activation.h"
#include "kernels/clones.h"
#include "kernels/matrix.h"

namespace op {
namespace {

using matrix::multiply_add;
using matrix::transpose;

/// Memory without values.
class Scratch {
 public:
  explicit Scratch(std::int64_t size)
      : data_(std::make_unique_for_overwrite<float[]>(static_cast<std::size_t>(size))) {}
  float* get() const { return data_.get(); }

 private:
  std::unique_ptr<float[]> data_;
};

/// Sizes of a call, and how much work one row is for the thread pool.
struct Sizes {
  std::int64_t steps, batch, inputs, hidden;
  std::int64_t gates = 3 * hidden;
  std::int64_t columns = hidden + inputs;
  std::int64_t grain = std::max<std::int64_t>(1, 200000 / std::max<std::int64_t>(1, gates* columns));
};

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

/// The part of the gates that does not depend on the state, for many steps at once.
void project(const Sizes& size, std::int64_t rows, const float* input, const float* packed, const float* bias,
             float* gates, const Parallel& parallel) {
  parallel(rows, size.grain, [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t row = from; row < to; ++row) std::copy_n(bias, size.gates, gates + row * size.gates);
    multiply_add(to - from, size.inputs, size.gates, {input + from * size.inputs, size.inputs},
                 packed + size.hidden * size.gates, size.gates, gates + from * size.gates, size.gates);
  });
}

/// Runs the steps for some rows of the batch; `gates` holds the projected input and ends as activated gates.
void recur(const Sizes& size, std::int64_t steps, const float* packed, const float* h0, const float* c0, float* gates,
           float* h, float* c, std::int64_t c_step, const Parallel& parallel) {
  parallel(size.batch, size.grain, [&](std::int64_t from, std::int64_t to) {
    const float* h_old = h0;
    const float* c_old = c0;
    for (std::int64_t step = 0; step < steps; ++step) {
      float* g = gates + step * size.batch * size.gates;
      float* h_new = h + step * size.batch * size.hidden;
      float* c_new = c + step * c_step;
      multiply_add(to - from, size.hidden, size.gates, {h_old + from * size.hidden, size.hidden}, packed, size.gates,
                   g + from * size.gates, size.gates);
      for (std::int64_t row = from; row < to; ++row) {
        const std::int64_t at = row * size.hidden;
        activate(size.hidden, g + row * size.gates, c_old + at, c_new + at, h_new + at);
      }
      h_old = h_new;
      c_old = c_new;
    }
  });
}

}  // namespace

void Lltm::compute(View<const float> input, View<const float> h0, View<const float> c0, View<const float> weight,
                   View<const float> bias, View<float> output, View<float> h, View<float> c, const Parallel& parallel) {
  const Sizes size{input.shape[0], input.shape[1], input.shape[2], h0.shape[1]};
  const Scratch packed(size.gates * size.columns);
  transpose(size.gates, size.columns, weight.data, packed.get());
  // As many steps at a time as keep the gates in the cache.
  const std::int64_t block = std::clamp<std::int64_t>(256 / std::max<std::int64_t>(1, size.batch), 1, 64);
  const Scratch gates(std::min(block, size.steps) * size.batch * size.gates);
  const float* h_last = h0.data;
  const float* c_last = c0.data;
  for (std::int64_t step = 0; step < size.steps; step += block) {
    const std::int64_t steps = std::min(block, size.steps - step);
    float* out = output.data + step * size.batch * size.hidden;
    project(size, steps * size.batch, input.data + step * size.batch * size.inputs, packed.get(), bias.data,
            gates.get(), parallel);
    recur(size, steps, packed.get(), h_last, c_last, gates.get(), out, c.data, 0, parallel);
    h_last = out + (steps - 1) * size.batch * size.hidden;
    c_last = c.data;
  }
  std::copy_n(h_last, size.batch * size.hidden, h.data);
  if (size.steps == 0) std::copy_n(c_last, size.batch * size.hidden, c.data);
}

}  // namespace op
