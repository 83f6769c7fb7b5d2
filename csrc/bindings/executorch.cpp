// ExecuTorch: every op of the list as `<library>::<op>.out`. Kernels are boxed by hand, because the runtime's own
// boxing takes a single output.
#include <executorch/runtime/core/evalue.h>
#include <executorch/runtime/core/exec_aten/exec_aten.h>
#include <executorch/runtime/core/exec_aten/util/tensor_util.h>
#include <executorch/runtime/kernel/kernel_runtime_context.h>
#include <executorch/runtime/kernel/operator_registry.h>
#include <executorch/runtime/kernel/thread_parallel_interface.h>

#include <array>
#include <string>
#include <utility>

#include "op.h"
#include "op/infer.h"

namespace {

using executorch::aten::ScalarType;
using executorch::aten::SizesType;
using executorch::aten::Tensor;
using executorch::runtime::Error;
using executorch::runtime::EValue;
using executorch::runtime::KernelRuntimeContext;
using executorch::runtime::Span;
using op::Op;

constexpr std::size_t kMaxOps = 64;

ScalarType scalar_type(op::Type type) {
  constexpr std::array<ScalarType, 7> types = {ScalarType::Float, ScalarType::Double, ScalarType::Long, ScalarType::Int,
                                               ScalarType::Char,  ScalarType::Byte,   ScalarType::Bool};
  return types.at(static_cast<std::size_t>(type));
}

void run_in_pool(void*, std::int64_t count, std::int64_t grain, op::Parallel::Body body, const void* data) {
  executorch::extension::parallel_for(0, count, grain,
                                      [&](std::int64_t from, std::int64_t to) { body(data, from, to); });
}

/// One call: reads the stack, resizes the outputs, computes.
class Call {
 public:
  Call(const Op& op, Span<EValue*> stack) : op_(op), stack_(stack) {}

  /// Returns an empty text, or what is wrong with the call.
  std::string run() {
    std::string error = read();
    if (error.empty()) {
      error = op::Inference<op::Exact>(op_, attributes_.data()).run(input_shapes_.data(), output_shapes_.data());
    }
    for (int i = 0; i < op_.outputs.size() && error.empty(); ++i) error = resize(i);
    if (error.empty()) {
      op_.compute(inputs_.data(), attributes_.data(), outputs_.data(), op::Parallel(run_in_pool, nullptr));
    }
    return error;
  }

 private:
  using Shapes = std::array<op::Shape<std::int64_t>, op::kMaxTensors>;

  std::string read() {
    std::size_t at = 0;
    for (const op::Argument& argument : op_.arguments) {
      const EValue& value = *stack_[at++];
      const auto index = static_cast<std::size_t>(argument.index);
      if (!argument.tensor) {
        attributes_.at(index) = scalar(op_.attributes[argument.index].real, value);
      } else if (std::string error = input(index, value.toTensor()); !error.empty()) {
        return error;
      }
    }
    return "";
  }

  static op::Scalar scalar(bool real, const EValue& value) {
    if (!real) return {.integer = value.toInt()};
    return {.real = value.isInt() ? static_cast<double>(value.toInt()) : value.toDouble()};
  }

  static bool plain(const Tensor& tensor, op::Type type) {
    return tensor.scalar_type() == scalar_type(type) && tensor.dim() <= op::kMaxRank &&
           executorch::runtime::tensor_is_contiguous(tensor);
  }

  std::string complaint(const op::Tensor& tensor, const char* what) const {
    return std::string(op_.name) + ": " + std::string(tensor.name) + " " + what;
  }

  std::string input(std::size_t index, const Tensor& tensor) {
    const op::Tensor& expected = op_.inputs[static_cast<int>(index)];
    if (!plain(tensor, expected.type)) return complaint(expected, "is of another type or layout than the op takes");
    op::Shape<std::int64_t>& shape = input_shapes_.at(index);
    for (const SizesType size : tensor.sizes()) shape.push(size);
    inputs_.at(index) = {const_cast<void*>(tensor.const_data_ptr()), extents(shape)};
    return "";
  }

  std::string resize(int index) {
    const op::Tensor& expected = op_.outputs[index];
    const op::Shape<std::int64_t>& shape = output_shapes_.at(static_cast<std::size_t>(index));
    Tensor tensor =
        stack_[static_cast<std::size_t>(op_.arguments.size()) + static_cast<std::size_t>(index)]->toTensor();
    std::array<SizesType, op::kMaxRank> sizes{};
    for (int i = 0; i < shape.size(); ++i) sizes.at(static_cast<std::size_t>(i)) = static_cast<SizesType>(shape[i]);
    const auto rank = static_cast<std::size_t>(shape.size());
    if (executorch::runtime::resize_tensor(tensor, {sizes.data(), rank}) != Error::Ok) {
      return complaint(expected, "does not fit into the memory that was planned for it");
    }
    if (!plain(tensor, expected.type)) return complaint(expected, "is of another type or layout than the op gives");
    outputs_.at(static_cast<std::size_t>(index)) = {tensor.mutable_data_ptr(), extents(shape)};
    return "";
  }

  static std::span<const std::int64_t> extents(const op::Shape<std::int64_t>& shape) {
    return {shape.begin(), static_cast<std::size_t>(shape.size())};
  }

  const Op& op_;
  Span<EValue*> stack_;
  Shapes input_shapes_;
  Shapes output_shapes_;
  std::array<op::Scalar, op::kMaxAttributes> attributes_;
  std::array<op::Buffer, op::kMaxTensors> inputs_{};
  std::array<op::Buffer, op::kMaxTensors> outputs_{};
};

/// The runtime takes bare function pointers: one function for each place in the list of ops.
template <std::size_t kIndex>
void entry(KernelRuntimeContext& context, Span<EValue*> stack) {
  const std::string error = Call(op::ops[kIndex], stack).run();
  if (error.empty()) return;
  ET_LOG(Error, "%s", error.c_str());
  context.fail(Error::InvalidArgument);
}

template <std::size_t... I>
constexpr auto entries(std::index_sequence<I...>) {
  return std::array<executorch::runtime::OpFunction, sizeof...(I)>{entry<I>...};
}

bool known(const std::string& name) {
  for (const auto& kernel : executorch::runtime::get_registered_kernels()) {
    if (name == kernel.name_) return true;
  }
  return false;
}

/// Registers what is not registered yet: the runtime aborts the process on a name that it has.
Error register_ops() {
  static constexpr auto functions = entries(std::make_index_sequence<kMaxOps>());
  if (op::ops.size() > kMaxOps) {
    ET_LOG(Error, "an op library holds at most %zu ops", kMaxOps);
    return Error::InvalidArgument;
  }
  for (std::size_t i = 0; i < op::ops.size(); ++i) {
    const std::string name = std::string(op::library) + "::" + std::string(op::ops[i].name) + ".out";
    if (op::ops[i].training || known(name)) continue;
    const auto* kept = new std::string(name);  // the registry keeps the pointer as long as the process
    const executorch::runtime::Kernel kernel(kept->c_str(), functions[i]);
    if (const Error error = executorch::runtime::register_kernels({&kernel, 1}); error != Error::Ok) return error;
  }
  return Error::Ok;
}

// A shared library registers when it is loaded; who links statically calls the function below.
[[maybe_unused]] const Error registered = register_ops();

}  // namespace

/// Returns 0, or an error code of the runtime.
extern "C" [[gnu::visibility("default")]] int deploypipe_register_executorch() {
  return static_cast<int>(register_ops());
}
