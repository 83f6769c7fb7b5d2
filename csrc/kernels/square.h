// x**2, the smallest op, and its gradient.
#pragma once

#include "op.h"

namespace op {

struct Square {
  static constexpr auto signature = "square(x[...]) -> y[...]";
  static void compute(View<const float> x, View<float> y, const Parallel& parallel) {
    parallel(x.size(), 65536, [=](std::int64_t from, std::int64_t to) {
      for (std::int64_t i = from; i < to; ++i) y[i] = x[i] * x[i];
    });
  }
};

struct SquareBackward {
  static constexpr auto signature = "square_backward(grad[...], x[...]) -> dx[...]";
  static void compute(View<const float> grad, View<const float> x, View<float> dx, const Parallel& parallel) {
    parallel(x.size(), 65536, [=](std::int64_t from, std::int64_t to) {
      for (std::int64_t i = from; i < to; ++i) dx[i] = 2.0f * x[i] * grad[i];
    });
  }
};

}  // namespace op
