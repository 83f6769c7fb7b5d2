#include "manifest.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "error.h"
#include "node.h"
#include "processing.h"
#include "text.h"
#include "version.h"

namespace dp {
namespace {

constexpr std::int64_t kFormat = 1;
constexpr std::size_t kMaxFiles = 10'000;

/// The range of each dynamic axis.
using Ranges = std::map<std::string, std::pair<std::int64_t, std::int64_t>>;

std::string version_text(const Node& node) {
  std::string text = node.text();
  if (release_of(text).empty()) node.refuse("Invalid version: '" + text + "'");
  return text;
}

RuntimeInfo runtime_of(const Node& node) {
  return {node.at("name").text(), node.at("package").text(), version_text(node.at("min_version"))};
}

OpInfo op_of(const Node& node) {
  OpInfo op;
  if (node.has("library") && !node.at("library").is_null()) op.library = node.at("library").text();
  if (!node.has("abi")) return op;
  for (const auto& [package, version] : node.at("abi").members()) op.abi.emplace_back(package, version_text(version));
  return op;
}

Ranges ranges_of(const Node& node) {
  Ranges ranges;
  for (const auto& [name, range] : node.members()) {
    ranges[name] = {range.at("min").integer(), range.at("max").integer()};
  }
  return ranges;
}

Axis axis_of(const Node& node, const Ranges& ranges) {
  if (node.is_text()) {
    const std::string name = node.text();
    if (name.empty()) node.refuse("An axis should have a name or a size");
    const auto found = ranges.find(name);
    if (found == ranges.end()) return {name, 0, kAnySize};
    return {name, found->second.first, found->second.second};
  }
  const std::int64_t size = node.integer();
  if (size < 0) node.refuse("A size should not be negative");
  return {"", size, size};
}

TensorInfo tensor_of(const Node& node, const Ranges& ranges) {
  TensorInfo info{.name = node.at("name").text(), .dtype = DP_FLOAT32, .axes = {}};
  if (!parse_dtype(node.at("dtype").text(), info.dtype)) {
    node.at("dtype").refuse("There is no dtype '" + node.at("dtype").text() + "'");
  }
  for (const Node& axis : node.at("shape").items()) info.axes.push_back(axis_of(axis, ranges));
  if (info.axes.size() > DP_MAX_RANK) node.at("shape").refuse("There are more than 8 axes");
  return info;
}

std::vector<TensorInfo> tensors_of(const Node& node, const Ranges& ranges) {
  std::vector<TensorInfo> infos;
  std::set<std::string> names;
  for (const Node& each : node.items()) {
    infos.push_back(tensor_of(each, ranges));
    if (!names.insert(infos.back().name).second) each.refuse("The name '" + infos.back().name + "' is there twice");
  }
  if (infos.empty()) node.refuse("There should be one at least");
  return infos;
}

double limit_of(const Node& limits, const char* name) {
  const double limit = limits.at(name).number();
  if (!std::isfinite(limit) || limit < 0) limits.at(name).refuse("Input should be a number that is not negative");
  return limit;
}

std::map<std::string, FileInfo> files_of(const Node& digests, const Node& sizes) {
  std::map<std::string, FileInfo> files;
  const auto members = digests.members();
  if (members.size() > kMaxFiles) digests.refuse("There are more than " + std::to_string(kMaxFiles) + " files");
  for (const auto& [name, digest] : members) {
    if (name.find('\0') != std::string::npos) digests.refuse("A name should have no zero bytes");
    files[name] = {digest.text(), sizes.at(name.c_str()).integer()};
    if (files[name].size < 0) sizes.refuse("A size should not be negative");
  }
  return files;
}

void check_format(const Node& root, const std::string& bundle) {
  const std::int64_t format = root.at("deploypipe_bundle").integer();
  if (format > kFormat) {
    throw Error(
        DP_UNSUPPORTED,
        bundle + " has format " + std::to_string(format) + "; this deploypipe reads up to " + std::to_string(kFormat),
        "Install a newer deploypipe.");
  }
  if (format != kFormat) root.at("deploypipe_bundle").refuse("Input should be 1");
}

Manifest manifest_of(const Node& root) {
  Manifest manifest;
  const Ranges ranges = ranges_of(root.at("axes"));
  manifest.platform = root.at("platform").text();
  manifest.runtime = runtime_of(root.at("runtime"));
  manifest.artifact = root.at("artifact").text();
  for (const Node& op : root.at("ops").items()) manifest.ops.push_back(op_of(op));
  manifest.inputs = tensors_of(root.at("inputs"), ranges);
  manifest.outputs = tensors_of(root.at("outputs"), ranges);
  manifest.limits.normalized_error = limit_of(root.at("limits"), "normalized_error");
  manifest.limits.unequal_share = limit_of(root.at("limits"), "unequal_share");
  manifest.finite_inputs = root.has("finite_inputs") && root.at("finite_inputs").flag();
  manifest.files = files_of(root.at("files"), root.at("sizes"));
  if (root.has("processing")) read_processing(root.at("processing"), manifest);
  return manifest;
}

}  // namespace

std::vector<std::string> Manifest::libraries() const {
  std::vector<std::string> names;
  for (const OpInfo& op : ops) {
    const bool known = std::find(names.begin(), names.end(), op.library) != names.end();
    if (!op.library.empty() && !known) names.push_back(op.library);
  }
  return names;
}

Manifest parse_manifest(std::string text, const std::string& bundle) {
  try {
    const nlohmann::json table = parse_json(text);
    const Node root(table, "");
    check_format(root, bundle);
    Manifest manifest = manifest_of(root);
    manifest.text = std::move(text);
    return manifest;
  } catch (const Damaged& error) {
    throw Error(DP_BAD_BUNDLE, bundle + "/" + kManifestFile + " is damaged: " + error.what(),
                "Build the bundle again.");
  }
}

}  // namespace dp
