// The stable C functions of libtorch, and those of a library that AOTInductor made, as the SDK uses them: the project's
// own account of torch 2.13 (torch/csrc/inductor/aoti_torch/c/shim.h and aoti_runtime/interface.h).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>

#include "error.h"
#include "library.h"

namespace [[gnu::visibility("hidden")]] aoti {

using Handle = struct TensorObject*;        // a tensor of libtorch
using Container = struct ContainerObject*;  // a model of AOTInductor, ready to run
using Status = std::int32_t;                // 0: success
using Value = std::uint64_t;                // an argument or result of an op: a Handle, or the bits of a number

/// A tensor that is released in the end.
using Owned = std::unique_ptr<std::remove_pointer_t<Handle>, Status (*)(Handle)>;

/// What libtorch offers.
struct Functions {
  std::uint64_t (*abi_version)();
  std::int32_t (*device_type_cpu)();
  Status (*create_tensor_from_blob)(void* data, std::int64_t rank, const std::int64_t* sizes,
                                    const std::int64_t* strides, std::int64_t offset, std::int32_t dtype,
                                    std::int32_t device, std::int32_t device_index, Handle* made);
  Status (*empty_strided)(std::int64_t rank, const std::int64_t* sizes, const std::int64_t* strides, std::int32_t dtype,
                          std::int32_t device, std::int32_t device_index, Handle* made);
  Status (*new_tensor_handle)(Handle tensor, Handle* made);
  Status (*delete_tensor_object)(Handle tensor);
  Status (*assign_tensors)(Handle from, Handle to);
  Status (*copy)(Handle to, Handle from, std::int32_t non_blocking);
  Status (*get_data_ptr)(Handle tensor, void** data);
  Status (*get_dim)(Handle tensor, std::int64_t* rank);
  Status (*get_sizes)(Handle tensor, std::int64_t** sizes);
  Status (*get_dtype)(Handle tensor, std::int32_t* dtype);
  Status (*is_contiguous)(Handle tensor, bool* contiguous);
  /// Runs an op; `stack` holds its arguments, which it takes, and then its results.
  Status (*call_dispatcher)(const char* op, const char* overload, Value* stack);
  /// What went wrong last in this thread.
  const char* (*exception)();
  Status (*get_num_threads)(std::uint32_t* count);
  /// at::set_num_threads(int): of this thread, and of those that ask from now on. The C functions have nothing for it.
  void (*set_num_threads)(int count);
  /// Codes of libtorch for the dtypes of the SDK; a dp_dtype is the index.
  std::array<std::int32_t, DP_BOOL + 1> codes;
};

/// What the library of a model offers.
struct ModelFunctions {
  Status (*create)(Container* container, std::size_t models, const char* device, const char* cubins);
  Status (*remove)(Container container);
  Status (*input_count)(Container container, std::size_t* count);
  Status (*output_count)(Container container, std::size_t* count);
  /// Takes the inputs, and gives the outputs away.
  Status (*run)(Container container, Handle* inputs, std::size_t input_count, Handle* outputs, std::size_t output_count,
                void* stream, void* executor);
  Status (*last_error)(const char** text);
};

/// Finds all functions; throws an Error of DP_NO_RUNTIME that names the first one that is not there.
Functions functions_of(const dp::Library& library);

/// What went wrong last in this thread, on one line.
std::string last_error(const Functions& functions);

/// "2.13.0".
std::string version_of(const Functions& functions);

}  // namespace aoti
