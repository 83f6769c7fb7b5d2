#include "kernels/lltm.h"

#include <algorithm>
#include <array>

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

void LltmPacked::compute(View<const float> input, View<const float> h0, View<const float> c0, View<const float> weight,
                         View<float> output, View<float> h, View<float> c, const Parallel& parallel) {
  const std::int64_t hidden = h0.shape[1];
  const std::int64_t columns = hidden + input.shape[2];
  const lltm::Scratch rows(3 * hidden * columns);
  const lltm::Scratch bias(3 * hidden);
  for (std::int64_t row = 0; row < 3 * hidden; ++row) {
    const std::int64_t unit = row % hidden;
    const float* from = weight.data + unit / 16 * (columns + 1) * 48 + row / hidden * 16 + unit % 16;
    for (std::int64_t k = 0; k < columns; ++k) rows.get()[row * columns + k] = from[k * 48];
    bias.get()[row] = from[columns * 48];
  }
  const std::array<std::int64_t, 2> shape = {3 * hidden, columns};
  Lltm::compute(input, h0, c0, {rows.get(), shape}, {bias.get(), std::span(shape).first(1)}, output, h, c, parallel);
}

void LltmTraining::compute(View<const float> input, View<const float> h0, View<const float> c0,
                           View<const float> weight, View<const float> bias, View<float> output, View<float> h,
                           View<float> c, View<float> gates, View<float> cells, const Parallel& parallel) {
  const lltm::Sizes size{input.shape[0], input.shape[1], input.shape[2], h0.shape[1]};
  const std::int64_t states = size.batch * size.hidden;
  const lltm::Packed packed(size, weight.data);
  lltm::project(size, size.steps * size.batch, input.data, packed.input, bias.data, gates.data, parallel);
  lltm::recur(size, size.steps, packed.state, h0.data, c0.data, gates.data, {output.data, cells.data, states, states},
              parallel);
  std::copy_n(size.steps > 0 ? output.end() - states : h0.data, states, h.data);
  std::copy_n(size.steps > 0 ? cells.end() - states : c0.data, states, c.data);
}

}  // namespace op
