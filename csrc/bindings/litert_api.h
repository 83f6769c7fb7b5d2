// What the binding needs of LiteRT's C API. Its package brings no headers, so this is the project's own account of the
// binary interface of ai-edge-litert 2.3; the self-test of deploypipe.runtimes.tflite proves it before it is trusted.
#pragma once

#include <dlfcn.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace [[gnu::visibility("hidden")]] litert {

using Options = struct OptionsObject*;
using Model = struct ModelObject*;
using Subgraph = struct SubgraphObject*;
using Node = struct NodeObject*;
using TensorBuffer = struct TensorBufferObject*;

using Status = std::int32_t;
inline constexpr Status kOk = 0;
inline constexpr Status kInvalidArgument = 1;

using LockMode = std::int32_t;
inline constexpr LockMode kRead = 0;
inline constexpr LockMode kWrite = 1;

using OpCode = std::int32_t;
inline constexpr OpCode kCustom = 32;

using ElementType = std::int32_t;
inline constexpr ElementType kFloat32 = 1;
inline constexpr ElementType kInt32 = 2;
inline constexpr ElementType kUint8 = 3;
inline constexpr ElementType kInt64 = 4;
inline constexpr ElementType kBool = 6;
inline constexpr ElementType kInt8 = 9;
inline constexpr ElementType kFloat64 = 11;

inline constexpr std::size_t kMaxRank = 8;

/// A shape. Strides count only where `has_strides` is set.
struct Layout {
  std::uint32_t rank : 7;
  std::uint32_t has_strides : 1;
  std::array<std::int32_t, kMaxRank> dimensions;
  std::array<std::uint32_t, kMaxRank> strides;
};
static_assert(sizeof(Layout) == 68 && alignof(Layout) == 4);
static_assert(offsetof(Layout, dimensions) == 4 && offsetof(Layout, strides) == 36);

struct TensorType {
  ElementType element;
  Layout layout;
};
static_assert(sizeof(TensorType) == 72 && offsetof(TensorType, layout) == 4);

/// The functions of a custom op. `user` is what was registered with them, the same for all nodes of a custom code.
/// LiteRT ignores what they return.
struct Kernel {
  Status (*init)(void* user, const void* options, std::size_t size);
  Status (*layouts)(void* user, std::size_t inputs, const Layout* given, std::size_t outputs, Layout* wanted);
  Status (*run)(void* user, std::size_t inputs, const TensorBuffer* given, std::size_t outputs, TensorBuffer* results);
  Status (*destroy)(void* user);
};
static_assert(sizeof(Kernel) == 4 * sizeof(void*));

/// LiteRT's functions, found at run time: the process may hold LiteRT where the linker does not look.
class Api {
 public:
  /// Takes what dlopen gave for LiteRT, or nullptr where LiteRT's names are visible in the whole process.
  explicit Api(void* library) : library_(library == nullptr ? RTLD_DEFAULT : library) {}

  /// The name of the first function that is not there, or nothing.
  const std::string& missing() const { return missing_; }

 private:
  template <class F>
  F find(const char* name) {
    void* found = dlsym(library_, name);
    if (found == nullptr && missing_.empty()) missing_ = name;
    return reinterpret_cast<F>(found);
  }

  void* library_;
  std::string missing_;

 public:
  using Subgraphs = Status (*)(Model model, std::size_t* count);
  using SubgraphAt = Status (*)(Model model, std::size_t index, Subgraph* subgraph);
  using Nodes = Status (*)(Subgraph subgraph, std::size_t* count);
  using NodeAt = Status (*)(Subgraph subgraph, std::size_t index, Node* node);
  using CodeOf = Status (*)(Node node, OpCode* code);
  using CustomCode = Status (*)(Node node, const char** code);
  using AddKernel = Status (*)(Options options, const char* code, int version, const Kernel* kernel, void* user);
  using TypeOf = Status (*)(TensorBuffer buffer, TensorType* type);
  using Lock = Status (*)(TensorBuffer buffer, void** memory, LockMode mode);
  using Unlock = Status (*)(TensorBuffer buffer);

  Subgraphs subgraphs = find<Subgraphs>("LiteRtGetNumModelSubgraphs");
  SubgraphAt subgraph_at = find<SubgraphAt>("LiteRtGetModelSubgraph");
  Nodes nodes = find<Nodes>("LiteRtGetNumSubgraphOps");
  NodeAt node_at = find<NodeAt>("LiteRtGetSubgraphOp");
  CodeOf code_of = find<CodeOf>("LiteRtGetOpCode");
  CustomCode custom_code = find<CustomCode>("LiteRtGetCustomCode");
  AddKernel add_kernel = find<AddKernel>("LiteRtAddCustomOpKernelOption");
  TypeOf type_of = find<TypeOf>("LiteRtGetTensorBufferTensorType");
  Lock lock = find<Lock>("LiteRtLockTensorBuffer");
  Unlock unlock = find<Unlock>("LiteRtUnlockTensorBuffer");
};

}  // namespace litert
