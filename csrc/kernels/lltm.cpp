#include "kernels/lltm.h"

#include <algorithm>

#include "kernels/lltm_steps.h"

namespace op {

void Lltm::compute(View<const float> input, View<const float> h0, View<const float> c0, View<const float> weight,
                   View<const float> bias, View<float> output, View<float> h, View<float> c, const Parallel& parallel) {
  const lltm::Sizes size{input.shape[0], input.shape[1], input.shape[2], h0.shape[1]};
  const std::int64_t states = size.batch * size.hidden;
  const lltm::Packed packed(size, weight.data);
  // As many steps at a time as keep the gates in the cache.
  const std::int64_t block = std::clamp<std::int64_t>(256 / std::max<std::int64_t>(1, size.batch), 1, 64);
  const lltm::Scratch gates(std::min(block, size.steps) * size.batch * size.gates);
  const float* h_last = h0.data;
  const float* c_last = c0.data;
  for (std::int64_t step = 0; step < size.steps; step += block) {
    const std::int64_t steps = std::min(block, size.steps - step);
    float* out = output.data + step * states;
    lltm::project(size, steps * size.batch, input.data + step * size.batch * size.inputs, packed.input, bias.data,
                  gates.get(), parallel);
    lltm::recur(size, steps, packed.state, h_last, c_last, gates.get(), {out, c.data, states, 0}, parallel);
    h_last = out + (steps - 1) * states;
    c_last = c.data;
  }
  std::copy_n(h_last, states, h.data);
  if (size.steps == 0) std::copy_n(c_last, states, c.data);
}

}  // namespace op
