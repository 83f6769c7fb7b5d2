// ExecuTorch, in a library of its own, compiled against its headers.
//
// Against the wheel of Python it is a test harness: the runtime in there drags libtorch and libpython along, and is no
// evidence of a phone's size or speed. Who ships an app builds ExecuTorch from its source, and gives executorch_DIR.
#include <executorch/extension/threadpool/threadpool_guard.h>
#include <executorch/runtime/core/exec_aten/exec_aten.h>
#include <executorch/runtime/core/exec_aten/util/tensor_util.h>
#include <executorch/runtime/executor/memory_manager.h>
#include <executorch/runtime/executor/method.h>
#include <executorch/runtime/executor/program.h>
#include <executorch/runtime/platform/runtime.h>

#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "backends/backend.h"
#include "backends/dtypes.h"
#include "backends/executorch_input.h"
#include "backends/executorch_memory.h"
#include "backends/op_libraries.h"
#include "error.h"
#include "tensor.h"

namespace dp {
namespace {

using executorch::aten::ScalarType;
using executorch::runtime::EValue;
using executorch::runtime::Method;
using executorch::runtime::MethodMeta;
using executorch::runtime::Program;
using executorch::runtime::Result;
using Code = executorch::runtime::Error;

constexpr const char* kBuildAgain = "Build the bundle again.";
constexpr const char* kMethod = "forward";

constexpr Dtypes<ScalarType> kTypes = {{{DP_FLOAT32, ScalarType::Float},
                                        {DP_FLOAT64, ScalarType::Double},
                                        {DP_INT8, ScalarType::Char},
                                        {DP_UINT8, ScalarType::Byte},
                                        {DP_INT32, ScalarType::Int},
                                        {DP_INT64, ScalarType::Long},
                                        {DP_BOOL, ScalarType::Bool}}};

/// The name of an error, such as `OperatorMissing`; the runtime itself says more on the error output.
std::string words_of(Code code) {
  const std::string name = executorch::runtime::to_string(code);
  return name.substr(name.rfind(':') + 1);
}

[[noreturn]] void refuse(const Artifact& artifact, const std::string& text) {
  throw Error(DP_RUNTIME_FAILED, artifact.file.filename().string() + " does not load in ExecuTorch: " + text,
              "Build the bundle again, or give it the op library that it needs.");
}

/// What a function of the runtime gives; throws where it gives an error.
template <class T>
T taken(Result<T>&& result, const Artifact& artifact) {
  if (!result.ok()) refuse(artifact, words_of(result.error()));
  return std::move(result.get());
}

et::Input input_of(const View& view) {
  return {theirs(kTypes, view.dtype), {view.shape.begin(), view.shape.end()}, view.data};
}

/// The memory that the plan of a method asks for.
class Plan {
 public:
  Plan(const MethodMeta& meta, const Artifact& artifact) {
    constexpr std::size_t kCacheLine = 64;
    for (std::size_t i = 0; i < meta.num_memory_planned_buffers(); ++i) {
      const auto size = static_cast<std::size_t>(taken(meta.memory_planned_buffer_size(i), artifact));
      void* const buffer = heap_.allocate(size, kCacheLine);
      if (buffer == nullptr) throw std::bad_alloc();
      buffers_.emplace_back(static_cast<std::uint8_t*>(buffer), size);
    }
  }

  executorch::runtime::HierarchicalAllocator allocator() {
    return executorch::runtime::HierarchicalAllocator({buffers_.data(), buffers_.size()});
  }

 private:
  et::Heap heap_;
  std::vector<executorch::runtime::Span<std::uint8_t>> buffers_;
};

/// One thread, or the pool of the runtime: that one is the whole process's, and a model that is loaded keeps it, so
/// that its size is not changed here.
class Threads {
 public:
  explicit Threads(int count) {
    if (count == 1) alone_.emplace();
  }

 private:
  std::optional<executorch::extension::threadpool::NoThreadPoolGuard> alone_;
};

class ExecutorchSession : public Session {
 public:
  explicit ExecutorchSession(const Artifact& artifact)
      : threads_(artifact.threads),
        outputs_(artifact.outputs),
        file_(artifact.file),
        program_(taken(Program::load(&file_, Program::Verification::InternalConsistency), artifact)),
        plan_(taken(program_.method_meta(kMethod), artifact), artifact),
        planned_(plan_.allocator()),
        memory_(&heap_, &planned_, &scratch_),
        method_(taken(program_.load_method(kMethod, &memory_), artifact)) {
    if (method_.inputs_size() != artifact.inputs.size() || method_.outputs_size() != outputs_.size()) {
      refuse(artifact, "it has other inputs or outputs than the manifest");
    }
  }

  std::vector<Tensor> run(const std::vector<View>& inputs) override {
    const Threads threads(threads_);
    for (std::size_t i = 0; i < inputs.size(); ++i) set_input(inputs[i], i);
    const Code code = method_.execute();
    if (code != Code::Ok) throw Error(DP_RUNTIME_FAILED, "ExecuTorch fails: " + words_of(code));
    std::vector<Tensor> results;
    results.reserve(outputs_.size());
    for (std::size_t i = 0; i < outputs_.size(); ++i) results.push_back(copy(method_.get_output(i), outputs_[i].name));
    return results;
  }

 private:
  void set_input(const View& view, std::size_t index) {
    if (elements(view.shape) == 0) {
      // The runtime would end the process.
      throw Error(DP_INVALID_ARGUMENT, "ExecuTorch takes no empty input", "Give at least one row.");
    }
    const Code code = method_.set_input(input_of(view).value(), index);
    if (code == Code::Ok) return;
    throw Error(DP_INVALID_ARGUMENT, "ExecuTorch refuses the input: " + words_of(code),
                "Keep to the sizes in the manifest.");
  }

  /// Outputs lie in the plan, where the next run writes.
  static Tensor copy(const EValue& value, const std::string& name) {
    if (!value.isTensor()) throw Error(DP_UNSUPPORTED, "The output " + name + " is no tensor", kBuildAgain);
    const executorch::aten::Tensor tensor = value.toTensor();
    if (!executorch::runtime::tensor_is_contiguous(tensor)) {
      throw Error(DP_UNSUPPORTED, "The output " + name + " does not lie row by row", kBuildAgain);
    }
    Tensor result = allocate(ours(kTypes, tensor.scalar_type(), name), {tensor.sizes().begin(), tensor.sizes().end()});
    if (!result.bytes.empty()) std::memcpy(result.bytes.data(), tensor.const_data_ptr(), result.bytes.size());
    return result;
  }

  int threads_;
  std::vector<TensorInfo> outputs_;
  et::MappedFile file_;
  Program program_;
  Plan plan_;
  executorch::runtime::HierarchicalAllocator planned_;
  et::Heap heap_;
  et::Heap scratch_;
  executorch::runtime::MemoryManager memory_;
  Method method_;
};

class ExecutorchRuntime : public Runtime {
 public:
  /// The runtime does not tell its version: this is the one that the backend was compiled with.
  std::string version() const override { return EXECUTORCH_VERSION; }

  std::unique_ptr<Session> open(const Artifact& artifact) override {
    load_op_libraries(artifact.libraries, "ExecuTorch");
    const Threads threads(artifact.threads);  // delegates take the pool when they are loaded
    return std::make_unique<ExecutorchSession>(artifact);
  }
};

/// The runtime is in the process already: this library could not be opened without it.
std::unique_ptr<Runtime> load(const Artifact& /*artifact*/) {
  executorch::runtime::runtime_init();
  return std::make_unique<ExecutorchRuntime>();
}

constexpr Backend kExecutorch = {.name = "executorch", .load = load, .portable = false};

}  // namespace
}  // namespace dp

extern "C" [[gnu::visibility("default")]] const dp::Backend* dp_backend(const char* sdk_version) {
  return std::strcmp(sdk_version, DP_VERSION) == 0 ? &dp::kExecutorch : nullptr;
}
