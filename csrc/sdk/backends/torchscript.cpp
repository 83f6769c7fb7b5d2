// TorchScript, in a library of its own: libtorch has no C functions for it, so this is compiled against its headers and
// fits the one version that it was compiled with.
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/script.h>
#include <torch/version.h>

#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backends/backend.h"
#include "backends/dtypes.h"
#include "backends/op_libraries.h"
#include "backends/said.h"
#include "error.h"
#include "tensor.h"

namespace dp {
namespace {

constexpr const char* kBuildAgain = "Build the bundle again.";

constexpr Dtypes<at::ScalarType> kTypes = {{{DP_FLOAT32, at::kFloat},
                                            {DP_FLOAT64, at::kDouble},
                                            {DP_INT8, at::kChar},
                                            {DP_UINT8, at::kByte},
                                            {DP_INT32, at::kInt},
                                            {DP_INT64, at::kLong},
                                            {DP_BOOL, at::kBool}}};

/// What torch says, without places in its sources, and without the trace of the model that stands before an error of
/// it.
std::string words_of(const std::exception& error) {
  const auto* const torch_error = dynamic_cast<const c10::Error*>(&error);
  const std::string text = torch_error == nullptr ? error.what() : torch_error->what_without_backtrace();
  const std::string mark = "RuntimeError: ";
  const std::size_t at = text.rfind(mark);
  return said(at == std::string::npos ? text : text.substr(at + mark.size()));
}

class TorchScriptSession : public Session {
 public:
  TorchScriptSession(const Artifact& artifact, const std::string& runtime)
      : threads_(artifact.threads), outputs_(artifact.outputs) {
    try {
      module_ = torch::jit::load(artifact.file.string(), at::kCPU);
      module_.eval();
    } catch (const std::exception& error) {
      throw Error(DP_RUNTIME_FAILED,
                  artifact.file.filename().string() + " does not load in " + runtime + ": " + words_of(error),
                  kBuildAgain);
    }
  }

  std::vector<Tensor> run(const std::vector<View>& inputs) override {
    // Each thread of an app has a number of its own in libtorch.
    if (at::get_num_threads() != threads_) at::set_num_threads(threads_);
    const c10::InferenceMode no_gradients;
    std::vector<c10::IValue> given;
    given.reserve(inputs.size());
    for (const View& input : inputs) given.emplace_back(wrap(input));
    try {
      return copies(module_.forward(std::move(given)));
    } catch (const Error&) {
      throw;
    } catch (const std::bad_alloc&) {
      throw;
    } catch (const std::exception& error) {
      throw Error(DP_RUNTIME_FAILED, "TorchScript fails: " + words_of(error));
    }
  }

 private:
  static at::Tensor wrap(const View& view) {
    // A model only reads its inputs, which from_blob has no word for.
    return at::from_blob(const_cast<void*>(view.data), view.shape, theirs(kTypes, view.dtype));
  }

  /// A module of deploypipe gives a flat tuple, or one tensor.
  std::vector<Tensor> copies(const c10::IValue& result) const {
    std::vector<c10::IValue> values{result};
    if (result.isTuple()) values = result.toTupleRef().elements().vec();
    std::vector<Tensor> tensors;
    tensors.reserve(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (!values[i].isTensor()) throw Error(DP_UNSUPPORTED, "The model gives more than tensors", kBuildAgain);
      const std::string name = i < outputs_.size() ? outputs_[i].name : std::to_string(i);
      tensors.push_back(copy(values[i].toTensor().contiguous(), name));
    }
    return tensors;
  }

  static Tensor copy(const at::Tensor& tensor, const std::string& name) {
    Tensor result = allocate(ours(kTypes, tensor.scalar_type(), name), tensor.sizes().vec());
    if (!result.bytes.empty()) std::memcpy(result.bytes.data(), tensor.const_data_ptr(), result.bytes.size());
    return result;
  }

  int threads_;
  std::vector<TensorInfo> outputs_;
  torch::jit::Module module_;
};

class TorchScriptRuntime : public Runtime {
 public:
  std::string version() const override { return TORCH_VERSION; }

  std::unique_ptr<Session> open(const Artifact& artifact) override {
    const std::string runtime = "torch " + version();
    load_op_libraries(artifact.libraries, runtime);
    return std::make_unique<TorchScriptSession>(artifact, runtime);
  }
};

/// libtorch is in the process already: this library could not be opened without it.
std::unique_ptr<Runtime> load(const Artifact& /*artifact*/) {
  if (aoti_torch_abi_version() != TORCH_ABI_VERSION) {
    throw Error(DP_NO_RUNTIME,
                "The libtorch that was found is not torch " TORCH_VERSION ", which this backend fits alone",
                "Give libtorch_cpu.so of that version as runtime_library, or build the backend with yours.");
  }
  return std::make_unique<TorchScriptRuntime>();
}

constexpr Backend kTorchscript = {.name = "torchscript", .load = load, .portable = false};

}  // namespace
}  // namespace dp

extern "C" [[gnu::visibility("default")]] const dp::Backend* dp_backend(const char* sdk_version) {
  return std::strcmp(sdk_version, DP_VERSION) == 0 ? &dp::kTorchscript : nullptr;
}
