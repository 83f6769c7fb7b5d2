#include "backends/aotinductor_functions.h"

#include "backends/said.h"

namespace aoti {
namespace {

template <class Function>
void find(const dp::Library& library, const char* name, Function& function) {
  void* const at = library.find(name);
  if (at == nullptr) {
    throw dp::Error(DP_NO_RUNTIME, library.path().string() + " is not libtorch 2.13 or newer: it has no " + name,
                    "Give lib/libtorch_cpu.so of torch as runtime_library.");
  }
  function = reinterpret_cast<Function>(at);
}

std::int32_t code(const dp::Library& library, const char* name) {
  std::int32_t (*function)() = nullptr;
  find(library, name, function);
  return function();
}

}  // namespace

Functions functions_of(const dp::Library& library) {
  Functions found{};
  find(library, "aoti_torch_abi_version", found.abi_version);
  find(library, "aoti_torch_device_type_cpu", found.device_type_cpu);
  find(library, "aoti_torch_create_tensor_from_blob", found.create_tensor_from_blob);
  find(library, "aoti_torch_empty_strided", found.empty_strided);
  find(library, "aoti_torch_new_tensor_handle", found.new_tensor_handle);
  find(library, "aoti_torch_delete_tensor_object", found.delete_tensor_object);
  find(library, "aoti_torch_assign_tensors", found.assign_tensors);
  find(library, "aoti_torch_copy_", found.copy);
  find(library, "aoti_torch_get_data_ptr", found.get_data_ptr);
  find(library, "aoti_torch_get_dim", found.get_dim);
  find(library, "aoti_torch_get_sizes", found.get_sizes);
  find(library, "aoti_torch_get_dtype", found.get_dtype);
  find(library, "aoti_torch_is_contiguous", found.is_contiguous);
  find(library, "aoti_torch_call_dispatcher", found.call_dispatcher);
  find(library, "torch_exception_get_what_without_backtrace", found.exception);
  find(library, "torch_get_num_threads", found.get_num_threads);
  find(library, "_ZN2at15set_num_threadsEi", found.set_num_threads);
  found.codes[DP_FLOAT32] = code(library, "aoti_torch_dtype_float32");
  found.codes[DP_FLOAT64] = code(library, "aoti_torch_dtype_float64");
  found.codes[DP_INT8] = code(library, "aoti_torch_dtype_int8");
  found.codes[DP_UINT8] = code(library, "aoti_torch_dtype_uint8");
  found.codes[DP_INT32] = code(library, "aoti_torch_dtype_int32");
  found.codes[DP_INT64] = code(library, "aoti_torch_dtype_int64");
  found.codes[DP_BOOL] = code(library, "aoti_torch_dtype_bool");
  return found;
}

std::string last_error(const Functions& functions) {
  const char* const text = functions.exception();
  return text == nullptr ? "" : dp::said(text);
}

std::string version_of(const Functions& functions) {
  const std::uint64_t version = functions.abi_version();  // a byte each for major, minor and patch, from the top
  const auto part = [version](int shift) { return std::to_string((version >> shift) & 0xff); };
  return part(56) + "." + part(48) + "." + part(40);
}

}  // namespace aoti
