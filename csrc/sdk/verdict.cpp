#include "verdict.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "parity.h"
#include "text.h"

namespace dp {
namespace {

using nlohmann::ordered_json;

/// Names the sizes of a case: `batch=5`.
std::string sizes_of(const std::vector<TensorInfo>& infos, const std::vector<Tensor>& inputs) {
  std::vector<std::string> names;
  std::vector<std::int64_t> sizes;
  for (std::size_t i = 0; i < infos.size(); ++i) {
    for (std::size_t axis = 0; axis < std::min(infos[i].axes.size(), inputs[i].shape.size()); ++axis) {
      const std::string& name = infos[i].axes[axis].name;
      if (name.empty() || std::find(names.begin(), names.end(), name) != names.end()) continue;
      names.push_back(name);
      sizes.push_back(inputs[i].shape[axis]);
    }
  }
  for (std::size_t i = 0; i < names.size(); ++i) names[i] += "=" + std::to_string(sizes[i]);
  return names.empty() ? "fixed size" : joined(names);
}

ordered_json table_of(const Check& check) {
  ordered_json value = nullptr;
  if (std::isfinite(check.value)) value = check.value;
  return {{"what", check.what}, {"output", check.output}, {"metric", check.metric},
          {"value", value},     {"limit", check.limit},   {"passed", check.passed()}};
}

}  // namespace

bool Check::passed() const { return std::isfinite(value) && value <= limit; }

std::string Check::describe() const {
  const std::string measured = std::isfinite(value) ? short_number(value) : "not finite";
  return output + ": " + metric + " " + measured + ", limit " + short_number(limit) + " (" + what + ")";
}

std::string form_of(const Manifest& manifest, bool with_libraries, const std::vector<Tensor>& inputs) {
  const bool with = with_libraries && !manifest.libraries().empty();
  return (with ? "with op library, " : "without op library, ") + sizes_of(manifest.inputs, inputs);
}

Check compare(const std::string& form, const std::string& name, const Tensor& output, const Tensor& expected,
              const Limits& limits) {
  const Metric& metric = metric_for(expected);
  const double limit = metric.of_floats ? limits.normalized_error : limits.unequal_share;
  if (output.dtype == expected.dtype && output.shape == expected.shape) {
    return {form, name, metric.name, metric.distance(output, expected), limit};
  }
  const std::string what = form + ", " + describe(output.dtype, output.shape, ", ") + ", not " +
                           describe(expected.dtype, expected.shape, ", ");
  return {what, name, metric.name, std::numeric_limits<double>::infinity(), limit};
}

bool passed(const std::vector<Check>& checks) {
  return std::all_of(checks.begin(), checks.end(), [](const Check& check) { return check.passed(); });
}

std::string to_json(const std::vector<Check>& checks) {
  ordered_json verdict = {
      {"passed", passed(checks)}, {"checks", ordered_json::array()}, {"failures", ordered_json::array()}};
  for (const Check& check : checks) {
    verdict["checks"].push_back(table_of(check));
    if (!check.passed()) verdict["failures"].push_back(check.describe());
  }
  return verdict.dump();
}

}  // namespace dp
