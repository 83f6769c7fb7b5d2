// Consistent weighted sampling: k hashes of each row of nonnegative weights. Two rows agree in a hash
// (index, t) with the probability sum(min) / sum(max) of their weights.
#pragma once

#include "op.h"

namespace op {

struct Cws {
  static constexpr auto signature = "cws(input[B,D], r[k,D], log_c[k,D], beta[k,D]) -> index[B,k], t[B,k]";

  /// A row that is all zero, or that has a NaN, a negative or an infinite weight, gets index -1 and t 0.
  /// The same bits on every machine: IEEE float32 operations in a fixed order, none of them fused.
  static void compute(View<const float> input, View<const float> r, View<const float> log_c, View<const float> beta,
                      View<std::int64_t> index, View<std::int64_t> t, const Parallel& parallel);
};

}  // namespace op
