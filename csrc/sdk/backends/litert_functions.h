// LiteRT's C API as the SDK uses it: the project's own account of ai-edge-litert 2.3, as in deploypipe.runtimes.tflite.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <type_traits>

#include "../../bindings/litert_api.h"
#include "error.h"
#include "library.h"

namespace [[gnu::visibility("hidden")]] litert {

using Environment = struct EnvironmentObject*;
using Signature = struct SignatureObject*;
using Tensor = struct TensorObject*;
using OpaqueOptions = struct OpaqueOptionsObject*;
using CompiledModel = struct CompiledModelObject*;
using Requirements = struct RequirementsObject*;

inline constexpr int kCpu = 1;

/// A setting of an environment; every one that is given here is an integer.
struct Setting {
  std::int32_t tag;
  struct {
    std::int32_t kind;
    std::uint64_t integer;
  } value;
};
static_assert(sizeof(Setting) == 24 && offsetof(Setting, value) == 8);

inline constexpr std::int32_t kInteger = 2;
inline constexpr std::int32_t kAccelerators = 24;
inline constexpr std::int32_t kSeverity = 25;
inline constexpr std::uint64_t kOnlyErrors = 3;

/// The functions, whose names begin with `LiteRt`.
struct Functions {
  Status (*create_environment)(int count, const Setting* settings, Environment* environment);
  Status (*create_model_from_file)(Environment environment, const char* path, Model* model);
  Status (*signatures)(Model model, std::size_t* count);
  Status (*signature_at)(Model model, std::size_t index, Signature* signature);
  Status (*signature_key)(Signature signature, const char** key);
  Status (*signature_inputs)(Signature signature, std::size_t* count);
  Status (*signature_outputs)(Signature signature, std::size_t* count);
  Status (*signature_input)(Signature signature, std::size_t index, Tensor* tensor);
  Status (*signature_output)(Signature signature, std::size_t index, Tensor* tensor);
  Status (*tensor_index)(Tensor tensor, std::uint32_t* index);
  Status (*tensor_type)(Tensor tensor, TensorType* type);
  Status (*create_options)(Options* options);
  Status (*set_accelerators)(Options options, int accelerators);
  Status (*create_opaque_options)(const char* section, void* text, void (*release)(void*), OpaqueOptions* options);
  Status (*add_opaque_options)(Options options, OpaqueOptions added);
  Status (*create_compiled_model)(Environment environment, Model model, Options options, CompiledModel* compiled);
  Status (*error_messages)(CompiledModel model, char** text);
  Status (*clear_errors)(CompiledModel model);
  Status (*resize_input)(CompiledModel model, std::size_t signature, std::size_t input, const int* sizes,
                         std::size_t rank);
  Status (*output_layouts)(CompiledModel model, std::size_t signature, std::size_t count, Layout* layouts,
                           bool allocate);
  Status (*input_requirements)(CompiledModel model, std::size_t signature, std::size_t input, Requirements* needs);
  Status (*output_requirements)(CompiledModel model, std::size_t signature, std::size_t output, Requirements* needs);
  Status (*create_buffer)(Environment environment, const TensorType* type, Requirements needs, TensorBuffer* buffer);
  Status (*buffer_memory)(TensorBuffer buffer, void** memory);
  Status (*buffer_size)(TensorBuffer buffer, std::size_t* size);
  Status (*run)(CompiledModel model, std::size_t signature, std::size_t inputs, const TensorBuffer* given,
                std::size_t outputs, const TensorBuffer* results);
  void (*destroy_environment)(Environment environment);
  void (*destroy_model)(Model model);
  void (*destroy_options)(Options options);
  void (*destroy_compiled_model)(CompiledModel model);
  void (*destroy_buffer)(TensorBuffer buffer);
};

[[noreturn]] inline void refuse(const dp::Library& library, const std::string& missing) {
  throw dp::Error(DP_NO_RUNTIME, library.path().string() + " is not LiteRT 2.3 or newer: it has no " + missing,
                  "Give libLiteRt.so of ai-edge-litert as runtime_library.");
}

/// Finds all functions; throws an Error of DP_NO_RUNTIME that names the first one that is not there.
inline Functions functions_of(const dp::Library& library) {
  Functions found{};
  const auto find = [&](auto& function, const char* name) {
    void* const at = library.find(name);
    if (at == nullptr) refuse(library, name);
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(at);
  };
  find(found.create_environment, "LiteRtCreateEnvironment");
  find(found.create_model_from_file, "LiteRtCreateModelFromFile");
  find(found.signatures, "LiteRtGetNumModelSignatures");
  find(found.signature_at, "LiteRtGetModelSignature");
  find(found.signature_key, "LiteRtGetSignatureKey");
  find(found.signature_inputs, "LiteRtGetNumSignatureInputs");
  find(found.signature_outputs, "LiteRtGetNumSignatureOutputs");
  find(found.signature_input, "LiteRtGetSignatureInputTensorByIndex");
  find(found.signature_output, "LiteRtGetSignatureOutputTensorByIndex");
  find(found.tensor_index, "LiteRtGetTensorIndex");
  find(found.tensor_type, "LiteRtGetRankedTensorType");
  find(found.create_options, "LiteRtCreateOptions");
  find(found.set_accelerators, "LiteRtSetOptionsHardwareAccelerators");
  find(found.create_opaque_options, "LiteRtCreateOpaqueOptions");
  find(found.add_opaque_options, "LiteRtAddOpaqueOptions");
  find(found.create_compiled_model, "LiteRtCreateCompiledModel");
  find(found.error_messages, "LiteRtCompiledModelGetErrorMessages");
  find(found.clear_errors, "LiteRtCompiledModelClearErrors");
  find(found.resize_input, "LiteRtCompiledModelResizeInputTensorNonStrict");
  find(found.output_layouts, "LiteRtGetCompiledModelOutputTensorLayouts");
  find(found.input_requirements, "LiteRtGetCompiledModelInputBufferRequirements");
  find(found.output_requirements, "LiteRtGetCompiledModelOutputBufferRequirements");
  find(found.create_buffer, "LiteRtCreateManagedTensorBufferFromRequirements");
  find(found.buffer_memory, "LiteRtGetTensorBufferHostMemory");
  find(found.buffer_size, "LiteRtGetTensorBufferSize");
  find(found.run, "LiteRtRunCompiledModel");
  find(found.destroy_environment, "LiteRtDestroyEnvironment");
  find(found.destroy_model, "LiteRtDestroyModel");
  find(found.destroy_options, "LiteRtDestroyOptions");
  find(found.destroy_compiled_model, "LiteRtDestroyCompiledModel");
  find(found.destroy_buffer, "LiteRtDestroyTensorBuffer");
  return found;
}

/// A handle that is destroyed in the end.
template <class Handle>
using Owned = std::unique_ptr<std::remove_pointer_t<Handle>, void (*)(Handle)>;

/// A function of LiteRT failed; it is turned into an Error where it is known what that means.
class Failed : public std::exception {
 public:
  explicit Failed(Status status) : status_(status) {}

  std::string text() const {
    switch (status_) {
      case 1:
        return "invalid argument";
      case 2:
        return "out of memory";
      case 3:
        return "runtime failure";
      case 5:
        return "unsupported";
      case 6:
        return "not found";
      case 8:
        return "wrong version";
      case 500:
        return "the file cannot be read";
      case 501:
        return "the file is not a model";
      default:
        return "status " + std::to_string(status_);
    }
  }

 private:
  Status status_;
};

inline void check(Status status) {
  if (status != kOk) throw Failed(status);
}

/// What a function writes to its last argument.
template <class T, class... Wanted, class... Given>
T get(Status (*function)(Wanted...), Given... given) {
  T result{};
  check(function(given..., &result));
  return result;
}

}  // namespace litert
