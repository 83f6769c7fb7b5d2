#include "kernels/lltm.h"

#include "kernels/lltm_sequence.h"

namespace op {

void Lltm::compute(View<const float> input, View<const float> h0, View<const float> c0, View<const float> weight,
                   View<const float> bias, View<float> output, View<float> h, View<float> c, const Parallel& parallel) {
  const lltm::Sizes size(input, h0);
  const Scratch packed = lltm::pack(size, weight.data, bias.data, parallel);
  lltm::run(size, {input.data, h0.data, c0.data, packed.get(), output.data, h.data, c.data}, parallel);
}

void LltmPacked::compute(View<const float> input, View<const float> h0, View<const float> c0, View<const float> weight,
                         View<float> output, View<float> h, View<float> c, const Parallel& parallel) {
  const lltm::Sizes size(input, h0);
  lltm::run(size, {input.data, h0.data, c0.data, weight.data, output.data, h.data, c.data}, parallel);
}

void LltmTraining::compute(View<const float> input, View<const float> h0, View<const float> c0,
                           View<const float> weight, View<const float> bias, View<float> output, View<float> h,
                           View<float> c, View<float> gates, View<float> cells, const Parallel& parallel) {
  const lltm::Sizes size(input, h0);
  const Scratch packed = lltm::pack(size, weight.data, bias.data, parallel);
  lltm::run(size, {input.data, h0.data, c0.data, packed.get(), output.data, h.data, c.data, gates.data, cells.data},
            parallel);
}

}  // namespace op
