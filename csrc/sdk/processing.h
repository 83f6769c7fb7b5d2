// What lies between an app's data and a model's tensors, as the manifest states it.
#pragma once

#include <vector>

#include "manifest.h"
#include "node.h"

namespace dp {

/// Reads `processing` of a manifest into it; throws Damaged, or Error where the model has no tensors that it fits.
void read_processing(const Node& node, Manifest& manifest);

/// The tensor float32[1,C,H,W] or float32[1,H,W,C] that a model takes for an image; throws Error.
Tensor prepare_image(const dp_image& image, const ImageInfo& info);

/// A class by its number.
struct Class {
  std::size_t index;
  double probability;
};

/// The classes of one row of an output, the most probable first; throws Error.
std::vector<Class> classes_of(const dp_tensor& output, std::int64_t row, const ClassInfo& info);

}  // namespace dp
