// How close an output is to its reference, by a metric that suits its kind (deploypipe/parity.py).
#pragma once

#include "tensor.h"

namespace dp {

struct Metric {
  const char* name;
  /// The distance of two tensors of one dtype and shape; smaller is better.
  double (*distance)(const Tensor& output, const Tensor& reference);
  bool of_floats;
};

/// By error for floats, by the share that differs for the others.
const Metric& metric_for(const Tensor& reference);

}  // namespace dp
