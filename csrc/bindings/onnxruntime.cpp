// ONNX Runtime: every op of the list as op type `<op>` of the domain `<library>`, version 1. Written on the C API
// of version 21, so that one library serves runtimes from 1.21 on, and never linked with the runtime itself.
#include <onnxruntime_c_api.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "bindings/learnt_pool.h"
#include "op.h"
#include "op/infer.h"

namespace {

using op::Op;

constexpr std::uint32_t kApi = 21;
static_assert(ORT_API_VERSION >= kApi, "the ONNX Runtime headers are too old: version 1.21 is the first that serves");

const OrtApi* api = nullptr;

/// Carries a status of the C API to the nearest callback, which hands it back to the runtime.
struct Failure : std::exception {
  explicit Failure(OrtStatus* carried) : status(carried) {}
  OrtStatus* status;
};

void check(OrtStatus* status) {
  if (status != nullptr) throw Failure{status};
}

void require(bool condition, const std::string& message) {
  if (!condition) throw Failure{api->CreateStatus(ORT_INVALID_ARGUMENT, message.c_str())};
}

/// Runs the body of a callback; nothing is thrown through the C API.
template <class F>
OrtStatus* guarded(const F& body) noexcept {
  try {
    body();
    return nullptr;
  } catch (const Failure& failure) {
    return failure.status;
  } catch (const std::exception& error) {
    return api->CreateStatus(ORT_FAIL, error.what());
  }
}

ONNXTensorElementDataType element_type(op::Type type) {
  constexpr std::array<ONNXTensorElementDataType, 7> types = {
      ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64,
      ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8,   ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8,
      ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL};
  return types.at(static_cast<std::size_t>(type));
}

struct ReleaseInfo {
  void operator()(OrtTensorTypeAndShapeInfo* info) const { api->ReleaseTensorTypeAndShapeInfo(info); }
};
using Info = std::unique_ptr<OrtTensorTypeAndShapeInfo, ReleaseInfo>;

/// A size before the model runs: a number, a name, or nothing known.
struct Size {
  std::int64_t value = -1;
  std::string symbol;

  Size() = default;
  explicit Size(std::int64_t known) : value(known) {}
  bool known() const { return value >= 0; }
};

Size combine(const Size& a, const Size& b, std::int64_t value) { return a.known() && b.known() ? Size(value) : Size(); }
Size operator+(const Size& a, const Size& b) { return combine(a, b, a.value + b.value); }
Size operator-(const Size& a, const Size& b) { return combine(a, b, a.value - b.value); }
Size operator*(const Size& a, const Size& b) { return combine(a, b, a.value * b.value); }

struct PartlyKnown {
  using Dim = Size;
  // Two names may turn out to be one size: only numbers can contradict each other.
  static bool same(const Dim& a, const Dim& b) { return !a.known() || !b.known() || a.value == b.value; }
  static bool better(const Dim& a, const Dim& b) { return rank(b) > rank(a); }
  static bool zero(const Dim& a) { return a.value == 0; }
  static bool negative(const Dim&) { return false; }
  static Dim divide(const Dim& a, const Dim& b) {
    return a.known() && b.known() ? Size(op::Exact::divide(a.value, b.value)) : Size();
  }
  static std::string text(const Dim& a) { return a.known() ? std::to_string(a.value) : a.symbol; }

 private:
  static int rank(const Dim& a) { return a.known() ? 2 : (a.symbol.empty() ? 0 : 1); }
};

/// An op of the list as the C API wants it: a table of functions, with the op behind it.
struct Node : OrtCustomOp {
  const Op* op;
  std::string name;

  explicit Node(const Op& described);
};

const Op& op_of(const OrtCustomOp* node) { return *static_cast<const Node*>(node)->op; }

using Attributes = std::array<op::Scalar, op::kMaxAttributes>;

op::Scalar read_attribute(const op::Attribute& attribute, const OrtKernelInfo* info, OrtStatus*& missing) {
  const std::string name(attribute.name);
  op::Scalar value;
  if (attribute.real) {
    float real = 0;
    missing = api->KernelInfoGetAttribute_float(info, name.c_str(), &real);
    value.real = real;
  } else {
    missing = api->KernelInfoGetAttribute_int64(info, name.c_str(), &value.integer);
  }
  return value;
}

op::Scalar default_of(const Op& op, const op::Attribute& attribute) {
  require(!attribute.default_text.empty(),
          std::string(op.name) + ": the attribute " + std::string(attribute.name) + " is missing");
  return {attribute.value, static_cast<std::int64_t>(attribute.value)};
}

Attributes read_attributes(const Op& op, const OrtKernelInfo* info) {
  Attributes values;
  for (int i = 0; i < op.attributes.size(); ++i) {
    OrtStatus* missing = nullptr;
    op::Scalar value = read_attribute(op.attributes[i], info, missing);
    if (missing != nullptr) {
      api->ReleaseStatus(missing);
      value = default_of(op, op.attributes[i]);
    }
    values.at(static_cast<std::size_t>(i)) = value;
  }
  return values;
}

/// One node of a loaded model.
class Kernel {
 public:
  Kernel(const Op& op, const OrtKernelInfo* info) : op_(op), attributes_(read_attributes(op, info)) {}

  void run(OrtKernelContext* context) {
    Shapes input_shapes;
    Shapes output_shapes;
    Buffers inputs;
    Buffers outputs;
    for (int i = 0; i < op_.inputs.size(); ++i) {
      const auto at = static_cast<std::size_t>(i);
      inputs.at(at) = input(context, at, input_shapes.at(at));
    }
    op::Inference<op::Exact> inference(op_, attributes_.data());
    const std::string error = inference.run(input_shapes.data(), output_shapes.data());
    require(error.empty(), error);
    for (int i = 0; i < op_.outputs.size(); ++i) {
      const auto at = static_cast<std::size_t>(i);
      outputs.at(at) = output(context, at, output_shapes.at(at));
    }
    Threads threads{context, pool_};
    op_.compute(inputs.data(), attributes_.data(), outputs.data(), op::Parallel(run_in_pool, &threads));
  }

 private:
  using Shapes = std::array<op::Shape<std::int64_t>, op::kMaxTensors>;
  using Buffers = std::array<op::Buffer, op::kMaxTensors>;

  static std::span<const std::int64_t> extents(const op::Shape<std::int64_t>& shape) {
    return {shape.begin(), static_cast<std::size_t>(shape.size())};
  }

  op::Buffer input(OrtKernelContext* context, std::size_t at, op::Shape<std::int64_t>& shape) const {
    const OrtValue* value = nullptr;
    check(api->KernelContext_GetInput(context, at, &value));
    require(value != nullptr, std::string(op_.name) + ": an input is missing");
    OrtTensorTypeAndShapeInfo* raw = nullptr;
    check(api->GetTensorTypeAndShape(value, &raw));
    const Info info(raw);
    std::size_t rank = 0;
    check(api->GetDimensionsCount(info.get(), &rank));
    require(rank <= op::kMaxRank, std::string(op_.name) + ": an input has more than 8 dimensions");
    shape.count = static_cast<int>(rank);
    check(api->GetDimensions(info.get(), shape.items.data(), rank));
    void* data = nullptr;
    check(api->GetTensorMutableData(const_cast<OrtValue*>(value), &data));  // the C API has no reading twin
    return {data, extents(shape)};
  }

  static op::Buffer output(OrtKernelContext* context, std::size_t at, const op::Shape<std::int64_t>& shape) {
    OrtValue* value = nullptr;
    check(api->KernelContext_GetOutput(context, at, shape.begin(), static_cast<std::size_t>(shape.size()), &value));
    void* data = nullptr;
    check(api->GetTensorMutableData(value, &data));
    return {data, extents(shape)};
  }

  /// What an op gets for its pool.
  struct Threads {
    OrtKernelContext* context;
    op::LearntPool& pool;
  };

  static void run_in_pool(void* threads, std::int64_t count, std::int64_t grain, op::Parallel::Body body,
                          const void* data) {
    const auto& [context, pool] = *static_cast<Threads*>(threads);
    const auto for_each = [&](std::size_t total, void (*work)(void*, std::size_t), void* pieces) {
      OrtStatus* status = api->KernelContext_ParallelFor(context, work, total, 0, pieces);
      if (status == nullptr) return;
      api->ReleaseStatus(status);
      for (std::size_t i = 0; i < total; ++i) work(pieces, i);
    };
    pool.run(count, grain, body, data, for_each);
  }

  const Op& op_;
  Attributes attributes_;
  op::LearntPool pool_;
};

/// Works out the shapes of a node's outputs when a model is loaded.
class LoadTime {
 public:
  LoadTime(const Op& op, OrtShapeInferContext* context) : op_(op), context_(context) {}

  void run() {
    for (int i = 0; i < op_.inputs.size(); ++i) {
      // An input without any known shape looks like a scalar here: nothing can be said then.
      if (!read(i) && (op_.inputs[i].rank > 0 || op_.inputs[i].spread >= 0)) return;
    }
    std::array<op::Scalar, op::kMaxAttributes> attributes;
    for (int i = 0; i < op_.attributes.size(); ++i) {
      if (!op_.attributes[i].real) attributes.at(static_cast<std::size_t>(i)).integer = attribute(op_.attributes[i]);
    }
    const std::string error = op::Inference<PartlyKnown>(op_, attributes.data()).run(inputs_.data(), outputs_.data());
    require(error.empty(), error);
    for (int i = 0; i < op_.outputs.size(); ++i) write(i);
  }

 private:
  /// Returns false where the input has no dimensions.
  bool read(int index) {
    OrtTensorTypeAndShapeInfo* info = nullptr;  // belongs to the context
    check(api->ShapeInferContext_GetInputTypeShape(context_, static_cast<std::size_t>(index), &info));
    std::size_t rank = 0;
    check(api->GetDimensionsCount(info, &rank));
    require(rank <= op::kMaxRank, std::string(op_.name) + ": an input has more than 8 dimensions");
    std::vector<std::int64_t> values(rank);
    std::vector<const char*> symbols(rank);
    check(api->GetDimensions(info, values.data(), rank));
    check(api->GetSymbolicDimensions(info, symbols.data(), rank));
    for (std::size_t i = 0; i < rank; ++i) {
      Size size(std::max<std::int64_t>(values[i], -1));
      if (!size.known() && symbols[i] != nullptr) size.symbol = symbols[i];
      inputs_.at(static_cast<std::size_t>(index)).push(size);
    }
    return rank > 0;
  }

  std::int64_t attribute(const op::Attribute& attribute) const {
    const OrtOpAttr* found = nullptr;
    std::int64_t value = 0;
    std::size_t size = 0;
    OrtStatus* missing = api->ShapeInferContext_GetAttribute(context_, std::string(attribute.name).c_str(), &found);
    if (missing == nullptr && found != nullptr) {
      check(api->ReadOpAttr(found, ORT_OP_ATTR_INT, &value, sizeof(value), &size));
      return value;
    }
    if (missing != nullptr) api->ReleaseStatus(missing);
    return default_of(op_, attribute).integer;
  }

  void write(int index) {
    const op::Shape<Size>& shape = outputs_.at(static_cast<std::size_t>(index));
    std::vector<std::int64_t> values;
    std::vector<std::string> symbols;
    for (const Size& size : shape) {
      values.push_back(size.value);
      symbols.push_back(size.known() || !size.symbol.empty() ? size.symbol : fresh_symbol());
    }
    std::vector<const char*> names;
    names.reserve(symbols.size());
    for (const std::string& symbol : symbols) names.push_back(symbol.c_str());
    OrtTensorTypeAndShapeInfo* raw = nullptr;
    check(api->CreateTensorTypeAndShapeInfo(&raw));
    const Info info(raw);
    check(api->SetTensorElementType(info.get(), element_type(op_.outputs[index].type)));
    check(api->SetDimensions(info.get(), values.data(), values.size()));
    check(api->SetSymbolicDimensions(info.get(), names.data(), names.size()));
    check(api->ShapeInferContext_SetOutputTypeShape(context_, static_cast<std::size_t>(index), info.get()));
  }

  /// The runtime has no unknown size in an output, and equal names mean equal sizes: so a new name each time.
  static std::string fresh_symbol() {
    static std::atomic<int> next{0};
    return std::string(op::library) + "_size_" + std::to_string(next++);
  }

  const Op& op_;
  OrtShapeInferContext* context_;
  std::array<op::Shape<Size>, op::kMaxTensors> inputs_;
  std::array<op::Shape<Size>, op::kMaxTensors> outputs_;
};

OrtStatus* make_kernel(const OrtCustomOp* node, const OrtApi*, const OrtKernelInfo* info, void** kernel) {
  return guarded([&] { *kernel = new Kernel(op_of(node), info); });
}

OrtStatus* run_kernel(void* kernel, OrtKernelContext* context) {
  return guarded([&] { static_cast<Kernel*>(kernel)->run(context); });
}

OrtStatus* infer_shapes(const OrtCustomOp* node, OrtShapeInferContext* context) {
  return guarded([&] { LoadTime(op_of(node), context).run(); });
}

Node::Node(const Op& described) : OrtCustomOp{}, op(&described), name(described.name) {
  version = kApi;
  GetName = [](const OrtCustomOp* node) { return static_cast<const Node*>(node)->name.c_str(); };
  GetExecutionProviderType = [](const OrtCustomOp*) -> const char* { return nullptr; };  // the CPU
  GetInputTypeCount = [](const OrtCustomOp* node) { return static_cast<std::size_t>(op_of(node).inputs.size()); };
  GetOutputTypeCount = [](const OrtCustomOp* node) { return static_cast<std::size_t>(op_of(node).outputs.size()); };
  GetInputType = [](const OrtCustomOp* node, std::size_t i) {
    return element_type(op_of(node).inputs[static_cast<int>(i)].type);
  };
  GetOutputType = [](const OrtCustomOp* node, std::size_t i) {
    return element_type(op_of(node).outputs[static_cast<int>(i)].type);
  };
  GetInputCharacteristic = [](const OrtCustomOp*, std::size_t) { return INPUT_OUTPUT_REQUIRED; };
  GetOutputCharacteristic = [](const OrtCustomOp*, std::size_t) { return INPUT_OUTPUT_REQUIRED; };
  GetInputMemoryType = [](const OrtCustomOp*, std::size_t) { return OrtMemTypeDefault; };
  GetVariadicInputMinArity = GetVariadicInputHomogeneity = [](const OrtCustomOp*) { return 1; };
  GetVariadicOutputMinArity = GetVariadicOutputHomogeneity = [](const OrtCustomOp*) { return 1; };
  GetStartVersion = GetEndVersion = [](const OrtCustomOp*) { return 1; };
  CreateKernelV2 = make_kernel;
  KernelComputeV2 = run_kernel;
  KernelDestroy = [](void* kernel) { delete static_cast<Kernel*>(kernel); };
  InferOutputShapeFn = infer_shapes;
  GetMayInplace = GetAliasMap = [](int**, int**) { return std::size_t{0}; };
  ReleaseMayInplace = ReleaseAliasMap = [](int*, int*) {};
}

std::vector<std::unique_ptr<Node>> make_nodes() {
  std::vector<std::unique_ptr<Node>> nodes;
  for (const Op& op : op::ops) {
    if (!op.training) nodes.push_back(std::make_unique<Node>(op));
  }
  return nodes;
}

void register_domain(OrtSessionOptions* options) {
  static const auto nodes = make_nodes();  // the runtime keeps pointers to them
  OrtCustomOpDomain* domain = nullptr;
  check(api->CreateCustomOpDomain(std::string(op::library).c_str(), &domain));
  for (const auto& node : nodes) check(api->CustomOpDomain_Add(domain, node.get()));
  check(api->AddCustomOpDomain(options, domain));
}

}  // namespace

extern "C" [[gnu::visibility("default")]] OrtStatus* ORT_API_CALL RegisterCustomOps(OrtSessionOptions* options,
                                                                                    const OrtApiBase* base) {
  api = base->GetApi(kApi);
  if (api == nullptr) {
    const std::string message = std::string("the op library '") + std::string(op::library) +
                                "' needs ONNX Runtime 1.21 or newer, this is " + base->GetVersionString();
    return base->GetApi(1)->CreateStatus(ORT_FAIL, message.c_str());
  }
  return guarded([&] { register_domain(options); });
}
