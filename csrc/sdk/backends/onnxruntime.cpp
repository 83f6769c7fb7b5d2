// ONNX Runtime, on its C API of version 21: any runtime from 1.21 on has it. Its shared library is opened at run time
// and never linked with, since a linked program asks for the one version that it was linked with.
#include <onnxruntime_c_api.h>

#include <cstring>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "backends/backend.h"
#include "backends/dtypes.h"
#include "backends/said.h"
#include "error.h"
#include "library.h"
#include "tensor.h"
#include "text.h"

namespace dp {
namespace {

constexpr std::uint32_t kApi = 21;
static_assert(ORT_API_VERSION >= kApi, "the ONNX Runtime headers are too old: version 1.21 is the first that serves");

constexpr const char* kInstall =
    "Install onnxruntime (pip) or libonnxruntime (apt), or give its shared library as runtime_library.";
constexpr const char* kBuildAgain = "Build the bundle again.";

constexpr Dtypes<ONNXTensorElementDataType> kTypes = {{
    {DP_FLOAT32, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT},
    {DP_FLOAT64, ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE},
    {DP_INT8, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8},
    {DP_UINT8, ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8},
    {DP_INT32, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32},
    {DP_INT64, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64},
    {DP_BOOL, ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL},
}};

/// An object of the C API that is released in the end.
template <class T>
using Owned = std::unique_ptr<T, void(ORT_API_CALL*)(T*)>;

/// ONNX Runtime's functions and its environment, which all that was made with them shares.
class Api {
 public:
  explicit Api(const OrtApiBase& base) : version_(base.GetVersionString()), functions_(base.GetApi(kApi)) {
    if (functions_ == nullptr) {
      throw Error(DP_NO_RUNTIME, "ONNX Runtime 1.21 or newer is needed, this is " + version_, kInstall);
    }
    OrtEnv* environment = nullptr;
    check(functions_->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "deploypipe", &environment), "ONNX Runtime does not start");
    environment_ = Owned<OrtEnv>(environment, functions_->ReleaseEnv);
  }

  const OrtApi* operator->() const { return functions_; }
  OrtEnv* environment() const { return environment_.get(); }
  const std::string& version() const { return version_; }

  /// Throws what a status says, after `what` and before `cure`.
  void check(OrtStatus* status, const std::string& what, const char* cure = "") const {
    if (status == nullptr) return;
    const Owned<OrtStatus> owned(status, functions_->ReleaseStatus);
    throw Error(DP_RUNTIME_FAILED, what + ": " + said(functions_->GetErrorMessage(status)), cure);
  }

 private:
  std::string version_;
  const OrtApi* functions_;
  Owned<OrtEnv> environment_{nullptr, nullptr};
};

class OnnxSession : public Session {
 public:
  OnnxSession(std::shared_ptr<const Api> api, const Artifact& artifact)
      : api_(std::move(api)), inputs_(names_of(artifact.inputs)), outputs_(names_of(artifact.outputs)) {
    const Owned<OrtSessionOptions> options = make_options(artifact.threads);
    for (const auto& library : artifact.libraries) add(options.get(), library);
    OrtSession* session = nullptr;
    OrtStatus* status = (*api_)->CreateSession(api_->environment(), artifact.file.c_str(), options.get(), &session);
    api_->check(status, artifact.file.filename().string() + " does not load in ONNX Runtime " + api_->version(),
                kBuildAgain);
    session_ = Owned<OrtSession>(session, (*api_)->ReleaseSession);
    OrtMemoryInfo* memory = nullptr;
    api_->check((*api_)->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &memory), kNoMemory);
    memory_ = Owned<OrtMemoryInfo>(memory, (*api_)->ReleaseMemoryInfo);
  }

  std::vector<Tensor> run(const std::vector<View>& inputs) override {
    std::vector<Value> owned;
    owned.reserve(inputs.size());
    for (const View& input : inputs) owned.push_back(wrap(input));
    std::vector<const OrtValue*> given;
    given.reserve(owned.size());
    for (const Value& value : owned) given.push_back(value.get());
    return copies(call(given));
  }

 private:
  using Value = Owned<OrtValue>;
  static constexpr const char* kNoMemory = "ONNX Runtime gives no memory";

  static std::vector<const char*> pointers(const std::vector<std::string>& names) {
    std::vector<const char*> made;
    made.reserve(names.size());
    for (const std::string& name : names) made.push_back(name.c_str());
    return made;
  }

  Owned<OrtSessionOptions> make_options(int threads) const {
    constexpr const char* what = "ONNX Runtime refuses its options";
    OrtSessionOptions* made = nullptr;
    api_->check((*api_)->CreateSessionOptions(&made), what);
    Owned<OrtSessionOptions> options(made, (*api_)->ReleaseSessionOptions);
    api_->check((*api_)->SetIntraOpNumThreads(made, threads), what);
    api_->check((*api_)->SetSessionLogSeverityLevel(made, ORT_LOGGING_LEVEL_ERROR), what);
    return options;
  }

  /// ONNX Runtime closes an op library with the last session that has it.
  void add(OrtSessionOptions* options, const std::filesystem::path& library) const {
    const std::string name = library.filename().string();
    api_->check((*api_)->RegisterCustomOpsLibrary_V2(options, library.c_str()),
                "The op library " + name + " does not load in ONNX Runtime " + api_->version(),
                "Take ONNX Runtime 1.21 or newer, or build the bundle again for this platform.");
  }

  Value wrap(const View& input) const {
    static std::byte nothing;  // ONNX Runtime takes no null pointer, even for a tensor without elements
    // Inputs are only read, which this C API has no word for.
    void* data = input.data == nullptr ? &nothing : const_cast<void*>(input.data);
    const std::size_t size = static_cast<std::size_t>(elements(input.shape)) * size_of(input.dtype);
    OrtValue* value = nullptr;
    api_->check((*api_)->CreateTensorWithDataAsOrtValue(memory_.get(), data, size, input.shape.data(),
                                                        input.shape.size(), theirs(kTypes, input.dtype), &value),
                "ONNX Runtime refuses an input");
    return {value, (*api_)->ReleaseValue};
  }

  std::vector<Value> call(const std::vector<const OrtValue*>& given) const {
    std::vector<OrtValue*> made(outputs_.size(), nullptr);
    OrtStatus* status = (*api_)->Run(session_.get(), nullptr, pointers(inputs_).data(), given.data(), given.size(),
                                     pointers(outputs_).data(), made.size(), made.data());
    std::vector<Value> values;
    values.reserve(made.size());
    for (OrtValue* value : made) values.emplace_back(value, (*api_)->ReleaseValue);
    api_->check(status, "ONNX Runtime fails");
    return values;
  }

  std::vector<Tensor> copies(const std::vector<Value>& values) const {
    std::vector<Tensor> tensors;
    tensors.reserve(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) tensors.push_back(copy(values[i].get(), outputs_[i]));
    return tensors;
  }

  Tensor copy(OrtValue* value, const std::string& name) const {
    const std::string what = "ONNX Runtime does not give the output " + name;
    int is_tensor = 0;
    api_->check((*api_)->IsTensor(value, &is_tensor), what);
    if (is_tensor == 0) throw Error(DP_UNSUPPORTED, "The output " + name + " is no tensor", kBuildAgain);
    OrtTensorTypeAndShapeInfo* info = nullptr;
    api_->check((*api_)->GetTensorTypeAndShape(value, &info), what);
    const Owned<OrtTensorTypeAndShapeInfo> owned(info, (*api_)->ReleaseTensorTypeAndShapeInfo);
    ONNXTensorElementDataType element = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    api_->check((*api_)->GetTensorElementType(info, &element), what);
    const dp_dtype dtype = ours(kTypes, element, name);
    std::size_t rank = 0;
    api_->check((*api_)->GetDimensionsCount(info, &rank), what);
    std::vector<std::int64_t> shape(rank);
    api_->check((*api_)->GetDimensions(info, shape.data(), rank), what);
    Tensor tensor = allocate(dtype, shape);
    void* data = nullptr;
    api_->check((*api_)->GetTensorMutableData(value, &data), what);
    if (!tensor.bytes.empty()) std::memcpy(tensor.bytes.data(), data, tensor.bytes.size());
    return tensor;
  }

  std::shared_ptr<const Api> api_;
  std::vector<std::string> inputs_;
  std::vector<std::string> outputs_;
  Owned<OrtSession> session_{nullptr, nullptr};
  Owned<OrtMemoryInfo> memory_{nullptr, nullptr};
};

class OnnxRuntime : public Runtime {
 public:
  explicit OnnxRuntime(const OrtApiBase& base) : api_(std::make_shared<const Api>(base)) {}

  std::string version() const override { return api_->version(); }

  std::unique_ptr<Session> open(const Artifact& artifact) override {
    return std::make_unique<OnnxSession>(api_, artifact);
  }

 private:
  std::shared_ptr<const Api> api_;
};

std::unique_ptr<Runtime> load(const Artifact& artifact) {
  const Library library = Library::open({
      .runtime = "ONNX Runtime",
      .named = artifact.runtime_library,
      .bundle = artifact.bundle,
      .names = {"libonnxruntime.so.1", "libonnxruntime.so"},
      .cure = kInstall,
  });
  using Entry = const OrtApiBase*(ORT_API_CALL*)();
  const auto entry = reinterpret_cast<Entry>(library.find("OrtGetApiBase"));
  if (entry == nullptr) {
    throw Error(DP_NO_RUNTIME, library.path().string() + " is not ONNX Runtime: it has no OrtGetApiBase",
                "Give the shared library of onnxruntime, such as libonnxruntime.so.1.");
  }
  return std::make_unique<OnnxRuntime>(*entry());
}

}  // namespace

extern const Backend kOnnxruntime;
const Backend kOnnxruntime = {.name = "onnxruntime", .load = load, .portable = true};

}  // namespace dp
