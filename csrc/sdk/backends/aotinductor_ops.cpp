#include "backends/aotinductor_ops.h"

#include <algorithm>
#include <bit>
#include <stdexcept>

#include "error.h"
#include "node.h"

namespace aoti {
namespace {

[[noreturn]] void refuse(const std::string& op) {
  throw dp::Error(DP_UNSUPPORTED, "The model calls " + op + " in a way that libtorch has no C function for",
                  "Build the bundle for torchscript.");
}

Value value_of(Handle tensor) { return std::bit_cast<std::uintptr_t>(tensor); }

Handle tensor_of(Value value) { return std::bit_cast<Handle>(static_cast<std::uintptr_t>(value)); }

OpCall::Argument argument_of(const dp::Node& given, const std::string& target) {
  if (given.has("as_tensor")) return {OpCall::Kind::kTensor, 0};
  if (given.has("as_int") || given.has("as_sym_int")) return {OpCall::Kind::kInteger, 0};
  if (given.has("as_float")) return {OpCall::Kind::kReal, given.at("as_float").number()};
  refuse(target);
}

OpCall call_of(const dp::Node& node) {
  const std::string target = node.at("target").text();
  // Of ops of torch itself the list leaves arguments out that have a default.
  if (target.starts_with("aten::")) refuse(target);
  const std::size_t dot = std::min(target.find('.'), target.size());
  OpCall call{target.substr(0, dot), target.substr(std::min(dot + 1, target.size())), {}, 0};
  for (const dp::Node& input : node.at("inputs").items()) {
    call.arguments.push_back(argument_of(input.at("arg"), target));
  }
  for (const dp::Node& output : node.at("outputs").items()) {
    if (!output.has("as_tensor")) refuse(target);
    ++call.outputs;
  }
  return call;
}

}  // namespace

std::size_t OpCall::count(Kind kind) const {
  return static_cast<std::size_t>(
      std::count_if(arguments.begin(), arguments.end(), [kind](const Argument& given) { return given.kind == kind; }));
}

OpCalls::OpCalls(const Functions& functions, std::string_view text) : functions_(functions) {
  if (text.empty()) return;
  const nlohmann::json parsed = dp::parse_json(text);
  for (const dp::Node& listed : dp::Node(parsed, "").at("nodes").items()) calls_.push_back(call_of(listed.at("node")));
}

void OpCalls::call_function(int number, int integer_count, std::int64_t* integers, int tensor_count, Handle* tensors) {
  try {
    const OpCall& call = calls_.at(static_cast<std::size_t>(number));
    if (static_cast<std::size_t>(integer_count) != call.count(OpCall::Kind::kInteger) ||
        static_cast<std::size_t>(tensor_count) != call.count(OpCall::Kind::kTensor) + call.outputs) {
      throw std::runtime_error(call.op + " is called with other arguments than the package lists");
    }
    run(call, integers, tensors);
  } catch (const std::exception& error) {
    complaint_ = error.what();
    throw;  // libtorch catches it and lets the run fail
  }
}

std::vector<Value> OpCalls::stack_of(const OpCall& call, const std::int64_t* integers, const Handle* tensors) const {
  std::vector<Value> stack;
  for (const OpCall::Argument& argument : call.arguments) {
    switch (argument.kind) {
      case OpCall::Kind::kTensor: {
        Handle own = nullptr;  // the dispatcher takes it
        if (functions_.new_tensor_handle(*tensors++, &own) != 0) throw std::bad_alloc();
        stack.push_back(value_of(own));
        break;
      }
      case OpCall::Kind::kInteger:
        stack.push_back(static_cast<Value>(*integers++));
        break;
      case OpCall::Kind::kReal:
        stack.push_back(std::bit_cast<Value>(argument.real));
        break;
    }
  }
  stack.resize(std::max(stack.size(), call.outputs));
  return stack;
}

void OpCalls::take_results(const OpCall& call, const std::vector<Value>& stack, const Handle* outputs) const {
  std::vector<Owned> results;
  results.reserve(call.outputs);
  for (std::size_t i = 0; i < call.outputs; ++i) {
    results.emplace_back(tensor_of(stack[i]), functions_.delete_tensor_object);
  }
  for (const Owned& result : results) {
    if (functions_.assign_tensors(result.get(), *outputs++) != 0) throw std::runtime_error(last_error(functions_));
  }
}

void OpCalls::run(const OpCall& call, const std::int64_t* integers, const Handle* tensors) const {
  std::vector<Value> stack = stack_of(call, integers, tensors);
  if (functions_.call_dispatcher(call.op.c_str(), call.overload.c_str(), stack.data()) != 0) {
    throw std::runtime_error(last_error(functions_));
  }
  take_results(call, stack, tensors + call.count(OpCall::Kind::kTensor));
}

}  // namespace aoti
