// AOTInductor, on the stable C functions of libtorch, which is opened at run time: no header of torch is compiled in,
// and any libtorch from 2.13 on serves. The package is a zip with a library in it, which is unpacked and opened.
#include <dlfcn.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backends/aotinductor_functions.h"
#include "backends/aotinductor_ops.h"
#include "backends/aotinductor_package.h"
#include "backends/backend.h"
#include "backends/dtypes.h"
#include "backends/op_libraries.h"
#include "backends/said.h"
#include "error.h"
#include "library.h"
#include "node.h"
#include "tensor.h"

namespace dp {
namespace {

using aoti::Functions;
using aoti::Handle;
using aoti::Owned;

constexpr const char* kBuildAgain = "Build the bundle again.";

/// The library of a package and the model that it makes.
class Model {
 public:
  Model(const std::filesystem::path& file, std::string what) : what_(std::move(what)) {
    library_.reset(dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL));
    if (!library_) fail(dlerror());
    find(functions_.last_error, "AOTInductorGetLastError");
    find(functions_.create, "AOTInductorModelContainerCreateWithDevice");
    find(functions_.remove, "AOTInductorModelContainerDelete");
    find(functions_.input_count, "AOTInductorModelContainerGetNumInputs");
    find(functions_.output_count, "AOTInductorModelContainerGetNumOutputs");
    find(functions_.run, "AOTInductorModelContainerRun");
    aoti::Container made = nullptr;
    if (functions_.create(&made, 1, "cpu", nullptr) != 0) fail(last_error());
    container_ = {made, functions_.remove};
  }

  std::size_t input_count() const { return count(functions_.input_count); }
  std::size_t output_count() const { return count(functions_.output_count); }

  /// Takes the inputs and gives outputs away. Returns false where the run fails.
  bool run(std::vector<Handle>& inputs, std::vector<Handle>& outputs, aoti::Executor& ops) {
    return functions_.run(container_.get(), inputs.data(), inputs.size(), outputs.data(), outputs.size(), nullptr,
                          &ops) == 0;
  }

  std::string last_error() const {
    const char* text = nullptr;
    functions_.last_error(&text);
    return text == nullptr ? "unknown" : text;
  }

 private:
  /// The library stays mapped, a few hundred KiB and the weights, until the threads that used it have ended: it keeps a
  /// text for each of them.
  struct Close {
    void operator()(void* library) const { dlclose(library); }
  };

  template <class Function>
  void find(Function& function, const char* name) const {
    function = reinterpret_cast<Function>(dlsym(library_.get(), name));
    if (function == nullptr) fail(std::string("its library has no ") + name);
  }

  std::size_t count(aoti::Status (*function)(aoti::Container, std::size_t*)) const {
    std::size_t count = 0;
    if (function(container_.get(), &count) != 0) fail(last_error());
    return count;
  }

  [[noreturn]] void fail(const std::string& text) const {
    throw Error(DP_RUNTIME_FAILED, what_ + ": " + said(text), kBuildAgain);
  }

  std::string what_;
  std::unique_ptr<void, Close> library_;
  aoti::ModelFunctions functions_{};
  std::unique_ptr<std::remove_pointer_t<aoti::Container>, aoti::Status (*)(aoti::Container)> container_{nullptr,
                                                                                                        nullptr};
};

/// Row-major strides.
std::vector<std::int64_t> strides_of(const std::vector<std::int64_t>& shape) {
  std::vector<std::int64_t> strides(shape.size(), 1);
  for (std::size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * std::max<std::int64_t>(shape[i], 1);
  return strides;
}

/// libtorch's tensors, made and read.
class Tensors {
 public:
  explicit Tensors(const Functions& functions) : functions_(functions), cpu_(functions.device_type_cpu()) {}

  Owned own(Handle tensor) const { return {tensor, functions_.delete_tensor_object}; }

  /// A tensor on the bytes of somebody else.
  Owned wrap(const View& view) const {
    const std::vector<std::int64_t> strides = strides_of(view.shape);
    Handle made = nullptr;
    // A model only reads its inputs, which the C functions have no word for.
    check(functions_.create_tensor_from_blob(const_cast<void*>(view.data), rank(view.shape), view.shape.data(),
                                             strides.data(), 0, functions_.codes.at(view.dtype), cpu_, 0, &made));
    return own(made);
  }

  Tensor copy(Handle tensor, const std::string& name) const {
    std::int32_t code = 0;
    std::int64_t rank = 0;
    std::int64_t* sizes = nullptr;
    check(functions_.get_dtype(tensor, &code));
    check(functions_.get_dim(tensor, &rank));
    check(functions_.get_sizes(tensor, &sizes));
    Tensor result = allocate(dtype_of(code, name), {sizes, sizes + rank});
    const Owned dense = contiguous(tensor, result.shape, code);
    void* data = nullptr;
    check(functions_.get_data_ptr(dense ? dense.get() : tensor, &data));
    if (!result.bytes.empty()) std::memcpy(result.bytes.data(), data, result.bytes.size());
    return result;
  }

 private:
  static std::int64_t rank(const std::vector<std::int64_t>& shape) { return static_cast<std::int64_t>(shape.size()); }

  /// A row-major copy of a tensor, or nothing where it is row-major.
  Owned contiguous(Handle tensor, const std::vector<std::int64_t>& shape, std::int32_t code) const {
    bool dense = false;
    check(functions_.is_contiguous(tensor, &dense));
    Handle made = nullptr;
    if (!dense) {
      const std::vector<std::int64_t> strides = strides_of(shape);
      check(functions_.empty_strided(rank(shape), shape.data(), strides.data(), code, cpu_, 0, &made));
    }
    Owned copy = own(made);
    if (copy) check(functions_.copy(copy.get(), tensor, 0));
    return copy;
  }

  dp_dtype dtype_of(std::int32_t code, const std::string& name) const {
    for (int dtype = DP_FLOAT32; dtype <= DP_BOOL; ++dtype) {
      if (functions_.codes.at(static_cast<std::size_t>(dtype)) == code) return static_cast<dp_dtype>(dtype);
    }
    refuse_type_of(name);
  }

  void check(aoti::Status status) const {
    if (status != 0) throw Error(DP_RUNTIME_FAILED, "libtorch fails: " + aoti::last_error(functions_));
  }

  const Functions& functions_;
  std::int32_t cpu_;
};

class AotiSession : public Session {
 public:
  AotiSession(std::shared_ptr<const Functions> functions, const Artifact& artifact, const aoti::Package& package,
              const std::string& what)
      : functions_(std::move(functions)),
        tensors_(*functions_),
        outputs_(artifact.outputs),
        threads_(artifact.threads),
        ops_(*functions_, package.ops),
        model_(package.library, what) {
    if (artifact.libraries.empty() && !ops_.first().empty()) {
      throw Error(DP_RUNTIME_FAILED, what + ": there is no kernel for " + ops_.first(),
                  "Give the model the op library that it needs.");
    }
    if (model_.input_count() == artifact.inputs.size() && model_.output_count() == outputs_.size()) return;
    throw Error(DP_RUNTIME_FAILED, artifact.file.filename().string() + " has other inputs or outputs than the manifest",
                kBuildAgain);
  }

  std::vector<Tensor> run(const std::vector<View>& inputs) override {
    set_threads();
    std::vector<Owned> owned;
    owned.reserve(inputs.size());
    for (const View& input : inputs) owned.push_back(tensors_.wrap(input));
    std::vector<Tensor> copies;
    copies.reserve(outputs_.size());
    for (const Owned& result : call(owned)) {
      copies.push_back(tensors_.copy(result.get(), outputs_[copies.size()].name));
    }
    return copies;
  }

 private:
  /// Each thread of an app has a number of its own in libtorch.
  void set_threads() const {
    std::uint32_t now = 0;
    functions_->get_num_threads(&now);
    if (now != static_cast<std::uint32_t>(threads_)) functions_->set_num_threads(threads_);
  }

  /// Takes the inputs.
  std::vector<Owned> call(std::vector<Owned>& inputs) {
    std::vector<Handle> given(inputs.size());
    std::transform(inputs.begin(), inputs.end(), given.begin(), [](Owned& input) { return input.release(); });
    std::vector<Handle> made(outputs_.size(), nullptr);
    if (!model_.run(given, made, ops_)) fail();
    std::vector<Owned> results;
    results.reserve(made.size());
    for (Handle tensor : made) results.push_back(tensors_.own(tensor));
    return results;
  }

  [[noreturn]] void fail() {
    const std::string complaint = ops_.complaint();
    throw Error(DP_RUNTIME_FAILED, "AOTInductor fails: " + said(complaint.empty() ? model_.last_error() : complaint));
  }

  std::shared_ptr<const Functions> functions_;
  Tensors tensors_;
  std::vector<TensorInfo> outputs_;
  int threads_;
  aoti::OpCalls ops_;
  Model model_;
};

class AotiRuntime : public Runtime {
 public:
  explicit AotiRuntime(const Library& library)
      : functions_(std::make_shared<const Functions>(aoti::functions_of(library))) {}

  std::string version() const override { return aoti::version_of(*functions_); }

  std::unique_ptr<Session> open(const Artifact& artifact) override {
    const std::string runtime = "torch " + version();
    const std::string file = artifact.file.filename().string();
    load_op_libraries(artifact.libraries, runtime);
    try {
      const aoti::Package package = aoti::unpack(artifact.file, artifact.temporary_folder);
      return std::make_unique<AotiSession>(functions_, artifact, package, file + " does not load in " + runtime);
    } catch (const Damaged& damaged) {
      throw Error(DP_BAD_BUNDLE, file + " is damaged: " + damaged.what(), kBuildAgain);
    }
  }

 private:
  std::shared_ptr<const Functions> functions_;
};

std::unique_ptr<Runtime> load(const Artifact& artifact) {
  return std::make_unique<AotiRuntime>(Library::open({
      .runtime = "libtorch",
      .named = artifact.runtime_library,
      .bundle = artifact.bundle,
      .names = {"libtorch_cpu.so"},
      .cure = "Install torch (pip) or libtorch, and give its lib/libtorch_cpu.so as runtime_library.",
  }));
}

}  // namespace

extern const Backend kAotinductor;
const Backend kAotinductor = {.name = "aotinductor", .load = load, .portable = false};

}  // namespace dp
