#include "processing.h"

#include <cmath>

namespace dp {
namespace {

constexpr std::int64_t kMaxSide = 16384;
constexpr std::size_t kMaxSteps = 8;

/// Whether the second of the two words that may stand there does.
bool second_of(const Node& node, const char* first, const char* second) {
  const std::string word = node.text();
  if (word != first && word != second) {
    node.refuse("Input should be '" + std::string(first) + "' or '" + second + "'");
  }
  return word == second;
}

void expect_kind(const Node& node, const char* kind) {
  if (node.has("kind") && node.at("kind").text() != kind) {
    node.at("kind").refuse("Input should be '" + std::string(kind) + "'");
  }
}

std::int64_t side_of(const Node& node) {
  const std::int64_t side = node.integer();
  if (side < 1 || side > kMaxSide) node.refuse("Input should be 1 to " + std::to_string(kMaxSide));
  return side;
}

std::vector<double> channels_of(const Node& node, std::size_t channels, bool positive) {
  std::vector<double> values;
  for (const Node& each : node.items()) {
    values.push_back(each.number());
    if (!std::isfinite(values.back()) || (positive && values.back() <= 0))
      each.refuse("Input should be greater than 0");
  }
  if (values.size() != channels) node.refuse("There should be one for each channel");
  return values;
}

ImageInfo image_of(const Node& node) {
  expect_kind(node, "image");
  ImageInfo info;
  const std::size_t channels = second_of(node.at("color"), "gray", "rgb") ? 3 : 1;
  info.channels_last = node.has("layout") && second_of(node.at("layout"), "NCHW", "NHWC");
  info.mean = channels_of(node.at("mean"), channels, false);
  info.std = channels_of(node.at("std"), channels, true);
  if (!node.has("resize")) return info;
  for (const Node& step : node.at("resize").items()) {
    const bool area = second_of(step.at("method"), "bilinear", "area");
    info.resize.push_back({side_of(step.at("height")), side_of(step.at("width")), area});
  }
  if (info.resize.size() > kMaxSteps) node.at("resize").refuse("There are more than 8 steps");
  return info;
}

ClassInfo classes_info_of(const Node& node) {
  expect_kind(node, "classes");
  ClassInfo info;
  for (const Node& label : node.at("labels").items()) info.labels.push_back(label.text());
  if (info.labels.empty()) node.at("labels").refuse("There should be one at least");
  info.softmax = !node.has("softmax") || node.at("softmax").flag();
  return info;
}

const TensorInfo& named(const std::string& name, const std::vector<TensorInfo>& infos, const Node& node) {
  for (const TensorInfo& info : infos) {
    if (info.name == name) return info;
  }
  node.refuse("The model has no such input or output");
}

}  // namespace

void read_processing(const Node& node, Manifest& manifest) {
  if (node.has("inputs")) {
    for (const auto& [name, each] : node.at("inputs").members()) {
      if (named(name, manifest.inputs, each).dtype != DP_FLOAT32) each.refuse("Only a float32 input can be an image");
      manifest.images[name] = image_of(each);
    }
  }
  if (!node.has("outputs")) return;
  for (const auto& [name, each] : node.at("outputs").members()) {
    named(name, manifest.outputs, each);
    manifest.classes[name] = classes_info_of(each);
  }
}

}  // namespace dp
