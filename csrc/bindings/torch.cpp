// PyTorch: every op of the list as `<library>::<op>` with an `.out` overload, for CPU and for shapes alone.
#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "op.h"
#include "op/infer.h"

namespace {

using op::Op;
using torch::jit::Stack;

/// Sizes that may be symbols, as torch.export and torch.compile have them.
struct Symbolic {
  using Dim = c10::SymInt;
  static bool same(const Dim& a, const Dim& b) { return a.sym_eq(b).expect_true(__FILE__, __LINE__); }
  static bool better(const Dim& a, const Dim& b) { return a.is_symbolic() && !b.is_symbolic(); }
  static bool zero(const Dim& a) { return a.maybe_as_int() == 0; }
  static bool negative(const Dim& a) { return a.maybe_as_int().value_or(0) < 0; }
  static Dim divide(const Dim& a, const Dim& b) {
    const auto known_a = a.maybe_as_int();
    const auto known_b = b.maybe_as_int();
    return known_a && known_b ? Dim(op::Exact::divide(*known_a, *known_b)) : a / b;
  }
  static std::string text(const Dim& a) {
    const auto known = a.maybe_as_int();
    return known ? std::to_string(*known) : "symbolic";
  }
};

at::ScalarType scalar_type(op::Type type) {
  constexpr std::array<at::ScalarType, 7> types = {at::kFloat, at::kDouble, at::kLong, at::kInt,
                                                   at::kChar,  at::kByte,   at::kBool};
  return types.at(static_cast<std::size_t>(type));
}

void run_in_pool(void*, std::int64_t count, std::int64_t grain, op::Parallel::Body body, const void* data) {
  at::parallel_for(0, count, grain, [&](std::int64_t from, std::int64_t to) { body(data, from, to); });
}

/// The arguments of one call.
struct Arguments {
  std::array<at::Tensor, op::kMaxTensors> tensors;
  std::array<op::Scalar, op::kMaxAttributes> attributes;

  /// Reads the arguments that start at `first` on the stack.
  Arguments(const Op& op, const Stack& stack, std::size_t first) {
    for (const op::Argument& argument : op.arguments) {
      const c10::IValue& value = stack.at(first++);
      if (argument.tensor) {
        read(op, op.inputs[argument.index], value.toTensor(), tensors.at(static_cast<std::size_t>(argument.index)));
      } else {
        const bool real = op.attributes[argument.index].real;
        op::Scalar& scalar = attributes.at(static_cast<std::size_t>(argument.index));
        if (real)
          scalar.real = value.toDouble();
        else
          scalar.integer = value.toInt();
      }
    }
  }

 private:
  static void read(const Op& op, const op::Tensor& expected, const at::Tensor& given, at::Tensor& slot) {
    TORCH_CHECK_VALUE(given.defined(), op.name, ": ", expected.name, " is not a tensor");
    TORCH_CHECK_VALUE(given.scalar_type() == scalar_type(expected.type), op.name, ": ", expected.name, " must be ",
                      op::name(expected.type), ", not ", c10::toString(given.scalar_type()));
    TORCH_CHECK_VALUE(given.dim() <= op::kMaxRank, op.name, ": ", expected.name, " has more than ", op::kMaxRank,
                      " dimensions");
    slot = given;
  }
};

template <class Rules>
using Shapes = std::array<op::Shape<typename Rules::Dim>, op::kMaxTensors>;

template <class Rules, class Sizes>
Shapes<Rules> infer(const Op& op, const Arguments& arguments, const Sizes& sizes) {
  Shapes<Rules> inputs;
  Shapes<Rules> outputs;
  for (std::size_t i = 0; i < static_cast<std::size_t>(op.inputs.size()); ++i) {
    for (const auto& size : sizes(arguments.tensors.at(i))) inputs.at(i).push(size);
  }
  op::Inference<Rules> inference(op, arguments.attributes.data());
  const std::string error = inference.run(inputs.data(), outputs.data());
  TORCH_CHECK_VALUE(error.empty(), error);
  return outputs;
}

template <class D>
auto as_array(const op::Shape<D>& shape) {
  return c10::ArrayRef<D>(shape.begin(), static_cast<std::size_t>(shape.size()));
}

using Outputs = std::vector<at::Tensor>;

op::Buffer buffer(const at::Tensor& tensor) {
  return {tensor.data_ptr(), {tensor.sizes().data(), static_cast<std::size_t>(tensor.dim())}};
}

Outputs compute(const Op& op, Arguments& arguments) {
  const auto shapes = infer<op::Exact>(op, arguments, [](const at::Tensor& tensor) { return tensor.sizes(); });
  std::array<op::Buffer, op::kMaxTensors> inputs{};
  std::array<op::Buffer, op::kMaxTensors> outputs{};
  for (std::size_t i = 0; i < static_cast<std::size_t>(op.inputs.size()); ++i) {
    arguments.tensors.at(i) = arguments.tensors.at(i).contiguous();
    inputs.at(i) = buffer(arguments.tensors.at(i));
  }
  Outputs results;
  for (std::size_t i = 0; i < static_cast<std::size_t>(op.outputs.size()); ++i) {
    results.push_back(at::empty(as_array(shapes.at(i)), scalar_type(op.outputs[static_cast<int>(i)].type)));
    outputs.at(i) = buffer(results.back());
  }
  op.compute(inputs.data(), arguments.attributes.data(), outputs.data(), op::Parallel(run_in_pool, nullptr));
  return results;
}

Outputs shapes_only(const Op& op, Arguments& arguments) {
  const auto shapes = infer<Symbolic>(op, arguments, [](const at::Tensor& tensor) { return tensor.sym_sizes(); });
  Outputs results;
  for (std::size_t i = 0; i < static_cast<std::size_t>(op.outputs.size()); ++i) {
    const auto options = at::TensorOptions(at::kMeta).dtype(scalar_type(op.outputs[static_cast<int>(i)].type));
    results.push_back(at::empty_symint(as_array(shapes.at(i)), options));
  }
  return results;
}

/// A boxed kernel: one class for all ops.
class Kernel final : public c10::OperatorKernel {
 public:
  using Body = Outputs (*)(const Op&, Arguments&);
  Kernel(const Op& op, Body body) : op_(op), body_(body) {}

  void operator()(const c10::OperatorHandle&, c10::DispatchKeySet, Stack* stack) const {
    const auto count = static_cast<std::size_t>(op_.arguments.size());
    Arguments arguments(op_, *stack, stack->size() - count);
    Outputs results = body_(op_, arguments);
    torch::jit::drop(*stack, count);
    for (at::Tensor& result : results) torch::jit::push(*stack, std::move(result));
  }

 private:
  const Op& op_;
  Body body_;
};

std::string qualified(const Op& op) {
  std::string name(op::library);
  return name.append("::").append(op.name);
}

/// The `.out` overload on any device: the functional op, then a copy, so that outputs may overlap inputs.
class OutKernel final : public c10::OperatorKernel {
 public:
  explicit OutKernel(const Op& op) : op_(op) {}

  void operator()(const c10::OperatorHandle&, c10::DispatchKeySet, Stack* stack) const {
    const auto outputs = static_cast<std::size_t>(op_.outputs.size());
    Outputs out;
    for (c10::IValue& value : torch::jit::pop(*stack, outputs)) out.push_back(value.toTensor());
    functional().callBoxed(*stack);
    std::vector<c10::IValue> results = torch::jit::pop(*stack, outputs);
    for (std::size_t i = 0; i < outputs; ++i) {
      const at::Tensor& result = results[i].toTensor();
      out[i].resize__symint(result.sym_sizes()).copy_(result);
      torch::jit::push(*stack, out[i]);
    }
  }

 private:
  c10::OperatorHandle functional() const {
    return c10::Dispatcher::singleton().findSchemaOrThrow(qualified(op_).c_str(), "");
  }

  const Op& op_;
};

template <class K, class... Args>
torch::CppFunction boxed(Args&&... args) {
  return torch::CppFunction::makeFromBoxedKernel(
      c10::BoxedKernel::makeFromFunctor(std::make_unique<K>(std::forward<Args>(args)...)));
}

std::string argument_list(const Op& op) {
  std::string text;
  for (const op::Argument& argument : op.arguments) {
    if (!text.empty()) text += ", ";
    if (argument.tensor) {
      text += "Tensor " + std::string(op.inputs[argument.index].name);
      continue;
    }
    const op::Attribute& attribute = op.attributes[argument.index];
    text += (attribute.real ? "float " : "int ") + std::string(attribute.name);
    if (!attribute.default_text.empty()) text += "=" + std::string(attribute.default_text);
  }
  return text;
}

std::string schema(const Op& op) {
  std::string outputs;
  for (const op::Tensor& output : op.outputs) {
    outputs += (outputs.empty() ? "Tensor " : ", Tensor ") + std::string(output.name);
  }
  return std::string(op.name) + "(" + argument_list(op) + ") -> (" + outputs + ")";
}

std::string out_schema(const Op& op) {
  std::string arguments = argument_list(op) + (op.arguments.size() == 0 ? "*" : ", *");
  std::string outputs;
  for (int i = 0; i < op.outputs.size(); ++i) {
    const std::string type = std::string("Tensor(") + static_cast<char>('a' + i) + "!)";
    arguments += ", " + type + " " + std::string(op.outputs[i].name);
    outputs += (i == 0 ? "" : ", ") + type;
  }
  return std::string(op.name) + ".out(" + arguments + ") -> (" + outputs + ")";
}

/// Registers what is not registered yet, so that a second copy of the library does no harm.
void register_ops() {
  using torch::Library;
  const std::string name(op::library);
  static auto* kept = new std::vector<Library>();  // registrations end with the process
  if (!kept->empty()) return;
  kept->reserve(4);
  Library& defs = kept->emplace_back(Library::FRAGMENT, name, std::nullopt, __FILE__, __LINE__);
  Library& cpu = kept->emplace_back(Library::IMPL, name, c10::DispatchKey::CPU, __FILE__, __LINE__);
  Library& meta = kept->emplace_back(Library::IMPL, name, c10::DispatchKey::Meta, __FILE__, __LINE__);
  Library& all =
      kept->emplace_back(Library::IMPL, name, c10::DispatchKey::CompositeExplicitAutograd, __FILE__, __LINE__);
  for (const Op& op : op::ops) {
    const std::string op_name(op.name);
    if (c10::Dispatcher::singleton().findOp({qualified(op), ""})) continue;
    defs.def(schema(op).c_str(), {at::Tag::pt2_compliant_tag});
    defs.def(out_schema(op).c_str());
    cpu.impl(op_name.c_str(), boxed<Kernel>(op, compute));
    meta.impl(op_name.c_str(), boxed<Kernel>(op, shapes_only));
    all.impl((op_name + ".out").c_str(), boxed<OutKernel>(op));
  }
}

// A shared library registers when it is loaded; who links statically calls the function below.
[[maybe_unused]] const bool registered = (register_ops(), true);

}  // namespace

extern "C" [[gnu::visibility("default")]] void deploypipe_register_torch() { register_ops(); }
