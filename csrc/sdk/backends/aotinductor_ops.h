// The ops that a model of AOTInductor leaves to its host: those of op libraries, for which it has no C functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backends/aotinductor_functions.h"

namespace [[gnu::visibility("hidden")]] aoti {

/// Laid out as torch::aot_inductor::ProxyExecutor, which is what a host is to libtorch: a destructor, then this
/// function. libtorch has a C function that calls it, and none that makes one.
class Executor {
 public:
  Executor() = default;
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;
  virtual ~Executor() = default;

  /// Runs the op of a number. `tensors` holds its inputs, and behind them what its outputs are assigned to.
  virtual void call_function(int number, int integer_count, std::int64_t* integers, int tensor_count,
                             Handle* tensors) = 0;
};

/// One op that the model calls: the kinds of its arguments, in the order of its schema, and how many tensors it gives.
struct OpCall {
  enum class Kind : std::uint8_t { kTensor, kInteger, kReal };

  struct Argument {
    Kind kind;
    double real;
  };

  std::string op;
  std::string overload;
  std::vector<Argument> arguments;
  std::size_t outputs;

  std::size_t count(Kind kind) const;
};

/// Hands the ops to libtorch's dispatcher. It takes them as op libraries of deploypipe have them, of tensors, integers
/// and floats: the C functions do not tell the schema of an op, which any other needs.
class OpCalls final : public Executor {
 public:
  /// Takes the text that lies beside the library of the model, or none; throws dp::Damaged, and dp::Error where it has
  /// an op that cannot be called.
  OpCalls(const Functions& functions, std::string_view text);

  void call_function(int number, int integer_count, std::int64_t* integers, int tensor_count, Handle* tensors) override;

  /// The name of the first op, or nothing.
  std::string first() const { return calls_.empty() ? "" : calls_.front().op; }

  /// What went wrong since this was last asked for, or nothing.
  std::string complaint() { return std::exchange(complaint_, ""); }

 private:
  std::vector<Value> stack_of(const OpCall& call, const std::int64_t* integers, const Handle* tensors) const;
  void take_results(const OpCall& call, const std::vector<Value>& stack, const Handle* outputs) const;
  void run(const OpCall& call, const std::int64_t* integers, const Handle* tensors) const;

  const Functions& functions_;
  std::vector<OpCall> calls_;
  std::string complaint_;
};

}  // namespace aoti
