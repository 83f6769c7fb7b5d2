// What a caller gives to a model, held against the manifest.
#pragma once

#include <vector>

#include "manifest.h"
#include "tensor.h"

namespace dp {

/// The tensors as views; throws Error of DP_INVALID_ARGUMENT where there are too many or too few, one has a wrong dtype
/// or shape, or holds NaN or infinity although the model refuses them.
std::vector<View> check_inputs(const Manifest& manifest, const dp_tensor* tensors, std::size_t count);

}  // namespace dp
