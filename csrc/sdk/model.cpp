#include "model.h"

#include <algorithm>

#include "backends.h"
#include "error.h"
#include "inputs.h"
#include "integrity.h"
#include "text.h"
#include "unpack.h"
#include "version.h"

namespace dp {
namespace {

namespace fs = std::filesystem;

dp_tensor_info public_info(const TensorInfo& info) {
  dp_tensor_info result{info.name.c_str(), info.dtype, static_cast<std::int32_t>(info.axes.size()), {}, {}, {}, {}};
  for (std::size_t i = 0; i < info.axes.size(); ++i) {
    const Axis& axis = info.axes[i];
    result.shape[i] = axis.name.empty() ? axis.min : -1;
    result.axes[i] = axis.name.empty() ? nullptr : axis.name.c_str();
    result.min[i] = axis.min;
    result.max[i] = axis.max;
  }
  return result;
}

std::vector<dp_tensor_info> public_infos(const std::vector<TensorInfo>& infos) {
  std::vector<dp_tensor_info> result;
  result.reserve(infos.size());
  for (const TensorInfo& info : infos) result.push_back(public_info(info));
  return result;
}

void check_form(const Manifest& manifest, const Backend& backend, bool with_libraries) {
  if (with_libraries || backend.portable || manifest.libraries().empty()) return;
  throw Error(DP_UNSUPPORTED, "A bundle for " + manifest.runtime.name + " cannot run without its op library",
              "Leave without_op_libraries at 0.");
}

/// A backend's own mistakes do not reach the caller as tensors that are none.
void check_outputs(const std::vector<Tensor>& outputs, const Manifest& manifest) {
  if (outputs.size() != manifest.outputs.size()) {
    throw Error(DP_RUNTIME_FAILED, manifest.runtime.name + " gave " + std::to_string(outputs.size()) +
                                       " outputs instead of " + std::to_string(manifest.outputs.size()));
  }
  for (const Tensor& output : outputs) {
    if (output.shape.size() > DP_MAX_RANK) throw Error(DP_RUNTIME_FAILED, "An output has more than 8 axes");
  }
}

}  // namespace

dp_tensor borrow(const Tensor& tensor) {
  dp_tensor result{tensor.dtype, static_cast<std::int32_t>(tensor.shape.size()), {}, tensor.bytes.data()};
  std::copy(tensor.shape.begin(), tensor.shape.end(), result.shape);
  return result;
}

Model::Model(const fs::path& path, const Options& options) : with_libraries_(!options.without_op_libraries) {
  const fs::path folder = prepare(path, options);
  golden_ = std::make_unique<Golden>(folder / kGoldenFile, manifest_);
  const Backend& backend = find_backend(manifest_.runtime.name, options.backend_folder, options.runtime_library);
  const Artifact artifact = artifact_of(folder, options);
  runtime_ = backend.load(artifact);
  version_ = runtime_->version();
  check_host(manifest_, version_, with_libraries_);
  check_form(manifest_, backend, with_libraries_);
  session_ = runtime_->open(artifact);
  inputs_ = public_infos(manifest_.inputs);
  outputs_ = public_infos(manifest_.outputs);
}

/// Reads and checks the manifest and all files; returns the folder that holds them.
fs::path Model::prepare(const fs::path& path, const Options& options) {
  std::error_code failed;
  const std::string shown = path.string();
  temporary_ = std::make_unique<TemporaryFolder>(options.temporary_folder);
  fs::path folder = fs::absolute(path);  // the working folder may change
  if (fs::is_regular_file(path, failed)) {
    folder = temporary_->path() / "bundle";
    manifest_ = unpack(path, folder, shown, options.max_bytes);
  } else {
    manifest_ = read_manifest(folder, shown);
    check_listing(manifest_, shown, options.max_bytes);
  }
  check_files(folder, manifest_, shown);
  return folder;
}

Artifact Model::artifact_of(const fs::path& folder, const Options& options) const {
  Artifact artifact;
  artifact.bundle = folder;
  artifact.file = folder / manifest_.artifact;
  if (with_libraries_) {
    for (const std::string& name : manifest_.libraries()) artifact.libraries.push_back(folder / name);
  }
  artifact.inputs = manifest_.inputs;
  artifact.outputs = manifest_.outputs;
  artifact.runtime_library = options.runtime_library;
  artifact.temporary_folder = temporary_->path() / "runtime";
  fs::create_directory(artifact.temporary_folder);
  artifact.threads = options.threads;
  return artifact;
}

std::vector<Tensor> Model::run(const dp_tensor* inputs, std::size_t count) {
  const std::vector<View> views = check_inputs(manifest_, inputs, count);
  std::vector<Tensor> outputs;
  {
    const std::lock_guard<std::mutex> alone(running_);
    outputs = session_->run(views);
  }
  check_outputs(outputs, manifest_);
  return outputs;
}

std::vector<Check> Model::verify() {
  std::vector<Check> checks;
  for (std::size_t number = 0; number < golden_->count(); ++number) {
    const std::vector<Tensor> inputs = golden_->inputs(number);
    const std::vector<Tensor> expected = golden_->outputs(number);
    std::vector<dp_tensor> given;
    given.reserve(inputs.size());
    for (const Tensor& input : inputs) given.push_back(borrow(input));
    const std::vector<Tensor> outputs = run(given.data(), given.size());
    const std::string form = form_of(manifest_, with_libraries_, inputs);
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      checks.push_back(compare(form, manifest_.outputs[i].name, outputs[i], expected[i], manifest_.limits));
    }
  }
  return checks;
}

}  // namespace dp
