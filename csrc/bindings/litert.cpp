// LiteRT: every op of the list as a custom op with the code `custom_call.<library>.<op>`. A kernel is registered for a
// code, not for a node, so the attributes are a part of the code: `;name=value` for each one.
#include "bindings/litert.h"

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "bindings/litert_api.h"
#include "bindings/litert_code.h"
#include "op.h"
#include "op/infer.h"

namespace {

using litert::Attributes;
using litert::Code;
using op::Op;
using Shape = op::Shape<std::int64_t>;
using Shapes = std::array<Shape, op::kMaxTensors>;

litert::ElementType element_type(op::Type type) {
  constexpr std::array<litert::ElementType, 7> types = {
      litert::kFloat32, litert::kFloat64, litert::kInt64, litert::kInt32, litert::kInt8, litert::kUint8, litert::kBool};
  return types.at(static_cast<std::size_t>(type));
}

std::string complaint(const Op& op, const op::Tensor& tensor, const char* what) {
  return std::string(op.name) + ": " + std::string(tensor.name) + " " + what;
}

bool plain(const litert::Layout& layout) { return layout.has_strides == 0 && layout.rank <= litert::kMaxRank; }

Shape shape_of(const litert::Layout& layout) {
  Shape shape;
  for (std::size_t i = 0; i < layout.rank; ++i) shape.push(layout.dimensions.at(i));
  return shape;
}

bool equal(const Shape& a, const Shape& b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

/// The memory of a tensor, as long as this lives.
class Memory {
 public:
  Memory() = default;
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() {
    if (data_ != nullptr) api_->unlock(buffer_);
  }

  /// Returns false where LiteRT does not give it.
  bool lock(const litert::Api& api, litert::TensorBuffer buffer, litert::LockMode mode) {
    api_ = &api;
    buffer_ = buffer;
    return api.lock(buffer, &data_, mode) == litert::kOk;
  }

  void* data() const { return data_; }

 private:
  const litert::Api* api_ = nullptr;
  litert::TensorBuffer buffer_ = nullptr;
  void* data_ = nullptr;
};

/// One call of an op: checks the tensors, takes their memory, computes.
class Call {
 public:
  Call(const Op& op, const Attributes& attributes, const litert::Api& api)
      : op_(op), attributes_(attributes), api_(api) {}

  /// Returns an empty text, or what is wrong with the call.
  std::string run(const litert::TensorBuffer* inputs, const litert::TensorBuffer* outputs) {
    std::string error;
    for (int i = 0; i < op_.inputs.size() && error.empty(); ++i) error = input(i, inputs[i]);
    if (!error.empty()) return error;
    error = op::Inference<op::Exact>(op_, attributes_.data()).run(input_shapes_.data(), output_shapes_.data());
    for (int i = 0; i < op_.outputs.size() && error.empty(); ++i) error = output(i, outputs[i]);
    if (error.empty()) op_.compute(inputs_.data(), attributes_.data(), outputs_.data(), op::Parallel());
    return error;
  }

 private:
  std::string input(int index, litert::TensorBuffer buffer) {
    const auto at = static_cast<std::size_t>(index);
    std::string error = shape(op_.inputs[index], buffer, input_shapes_.at(at));
    if (!error.empty()) return error;
    return memory(op_.inputs[index], buffer, litert::kRead, input_shapes_.at(at), inputs_.at(at));
  }

  std::string output(int index, litert::TensorBuffer buffer) {
    const auto at = static_cast<std::size_t>(index);
    Shape given;
    std::string error = shape(op_.outputs[index], buffer, given);
    if (!error.empty()) return error;
    if (!equal(given, output_shapes_.at(at))) {
      return complaint(op_, op_.outputs[index], "is of another shape than the op gives");
    }
    return memory(op_.outputs[index], buffer, litert::kWrite, output_shapes_.at(at), outputs_.at(at));
  }

  std::string shape(const op::Tensor& expected, litert::TensorBuffer buffer, Shape& shape) const {
    litert::TensorType type{};
    if (api_.type_of(buffer, &type) != litert::kOk) return complaint(op_, expected, "has no type");
    if (type.element != element_type(expected.type) || !plain(type.layout)) {
      return complaint(op_, expected, ("is not a dense tensor of " + std::string(op::name(expected.type))).c_str());
    }
    shape = shape_of(type.layout);
    return "";
  }

  std::string memory(const op::Tensor& expected, litert::TensorBuffer buffer, litert::LockMode mode, const Shape& shape,
                     op::Buffer& result) {
    Memory& taken = memory_.at(taken_++);
    const bool empty = std::find(shape.begin(), shape.end(), 0) != shape.end();
    if (!empty && !taken.lock(api_, buffer, mode)) return complaint(op_, expected, "has no memory that can be locked");
    result = {taken.data(), {shape.begin(), static_cast<std::size_t>(shape.size())}};
    return "";
  }

  const Op& op_;
  const Attributes& attributes_;
  const litert::Api& api_;
  std::size_t taken_ = 0;
  std::array<Memory, std::size_t{2} * op::kMaxTensors> memory_;
  Shapes input_shapes_;
  Shapes output_shapes_;
  std::array<op::Buffer, op::kMaxTensors> inputs_{};
  std::array<op::Buffer, op::kMaxTensors> outputs_{};
};

/// What stands behind a custom code in all models of the process. It never changes, so threads may share it.
class Kernel {
 public:
  Kernel(Code code, litert::Api api) : code_(std::move(code)), api_(std::move(api)) {}

  std::string layouts(std::size_t inputs, const litert::Layout* given, std::size_t outputs,
                      litert::Layout* wanted) const {
    std::string error = count(inputs, outputs);
    Shapes in;
    Shapes out;
    for (std::size_t i = 0; i < inputs && error.empty(); ++i) {
      if (plain(given[i])) {
        in.at(i) = shape_of(given[i]);
      } else {
        error = complaint(code_.op(), code_.op().inputs[static_cast<int>(i)], "is not dense");
      }
    }
    if (error.empty()) {
      error = op::Inference<op::Exact>(code_.op(), code_.attributes().data()).run(in.data(), out.data());
    }
    for (std::size_t i = 0; i < outputs && error.empty(); ++i)
      error = layout(static_cast<int>(i), out.at(i), wanted[i]);
    return error;
  }

  std::string run(std::size_t inputs, const litert::TensorBuffer* given, std::size_t outputs,
                  const litert::TensorBuffer* results) const {
    std::string error = count(inputs, outputs);
    return error.empty() ? Call(code_.op(), code_.attributes(), api_).run(given, results) : error;
  }

 private:
  std::string count(std::size_t inputs, std::size_t outputs) const {
    const Op& op = code_.op();
    if (inputs == static_cast<std::size_t>(op.inputs.size()) &&
        outputs == static_cast<std::size_t>(op.outputs.size())) {
      return "";
    }
    return std::string(op.name) + ": the node has another number of inputs or outputs than the op";
  }

  std::string layout(int index, const Shape& shape, litert::Layout& wanted) const {
    wanted = {};
    wanted.rank = static_cast<std::uint32_t>(shape.size()) & 0x7fU;
    for (int i = 0; i < shape.size(); ++i) {
      if (shape[i] > std::numeric_limits<std::int32_t>::max()) {
        return complaint(code_.op(), code_.op().outputs[index], "has a size beyond 32 bits");
      }
      wanted.dimensions.at(static_cast<std::size_t>(i)) = static_cast<std::int32_t>(shape[i]);
    }
    return "";
  }

  Code code_;
  litert::Api api_;
};

/// The first error of this thread that nobody has asked for. LiteRT drops what a kernel returns.
std::string& pending() {
  static thread_local std::string error;
  return error;
}

litert::Status report(std::string error) {
  if (error.empty()) return litert::kOk;
  if (pending().empty()) pending() = std::move(error);
  return litert::kInvalidArgument;
}

/// Keeps a text for the caller; nullptr where it is empty.
const char* kept(std::string text) {
  static thread_local std::string last;
  last = std::move(text);
  return last.empty() ? nullptr : last.c_str();
}

const Kernel& kernel_of(void* user) { return *static_cast<const Kernel*>(user); }

constexpr litert::Kernel kFunctions = {
    .init = [](void*, const void*, std::size_t) { return litert::kOk; },
    .layouts = [](void* user, std::size_t inputs, const litert::Layout* given, std::size_t outputs,
                  litert::Layout* wanted) { return report(kernel_of(user).layouts(inputs, given, outputs, wanted)); },
    .run = [](void* user, std::size_t inputs, const litert::TensorBuffer* given, std::size_t outputs,
              litert::TensorBuffer* results) { return report(kernel_of(user).run(inputs, given, outputs, results)); },
    .destroy = [](void*) { return litert::kOk; },
};

/// Registers the ops of a model.
class Registration {
 public:
  Registration(litert::Options options, litert::Model model, void* library)
      : options_(options), model_(model), library_(library), api_(library) {}

  /// Returns an empty text, or what is wrong.
  std::string run() {
    if (!api_.missing().empty()) return "LiteRT has no function " + api_.missing();
    std::size_t count = 0;
    check(api_.subgraphs(model_, &count));
    for (std::size_t i = 0; i < count && error_.empty(); ++i) {
      litert::Subgraph subgraph = nullptr;
      if (check(api_.subgraph_at(model_, i, &subgraph))) read(subgraph);
    }
    return error_;
  }

 private:
  bool check(litert::Status status) {
    if (status != litert::kOk && error_.empty()) error_ = "LiteRT does not tell the ops of the model";
    return error_.empty();
  }

  void read(litert::Subgraph subgraph) {
    std::size_t count = 0;
    check(api_.nodes(subgraph, &count));
    for (std::size_t i = 0; i < count && error_.empty(); ++i) {
      litert::Node node = nullptr;
      litert::OpCode code = 0;
      const char* name = nullptr;
      if (!check(api_.node_at(subgraph, i, &node)) || !check(api_.code_of(node, &code))) return;
      if (code == litert::kCustom && check(api_.custom_code(node, &name))) add(name);
    }
  }

  void add(const std::string& code) {
    if (!code.starts_with(Code::prefix()) || !seen_.insert(code).second) return;
    Kernel* kernel = find(code);
    if (kernel == nullptr) return;
    if (api_.add_kernel(options_, code.c_str(), 1, &kFunctions, kernel) != litert::kOk) {
      error_ = "LiteRT does not take the kernel of " + code;
    }
  }

  /// Models that are open keep the pointer, so it lives as long as the process.
  Kernel* find(const std::string& code) {
    static std::mutex mutex;
    static auto* kernels = new std::map<std::pair<void*, std::string>, std::unique_ptr<Kernel>>();
    const std::lock_guard lock(mutex);
    std::unique_ptr<Kernel>& slot = (*kernels)[{library_, code}];
    if (slot) return slot.get();
    Code read(code);
    error_ = read.error();
    if (error_.empty()) slot = std::make_unique<Kernel>(std::move(read), api_);
    return slot.get();
  }

  litert::Options options_;
  litert::Model model_;
  void* library_;
  litert::Api api_;
  std::set<std::string> seen_;
  std::string error_;
};

}  // namespace

extern "C" [[gnu::visibility("default")]] const char* deploypipe_register_litert(void* options, void* model,
                                                                                 void* library) {
  return kept(Registration(static_cast<litert::Options>(options), static_cast<litert::Model>(model), library).run());
}

extern "C" [[gnu::visibility("default")]] const char* deploypipe_litert_error() {
  return kept(std::exchange(pending(), {}));
}
