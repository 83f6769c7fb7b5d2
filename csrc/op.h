// The op contract. An op is one struct with its signature, as one would write it in a comment, and its compute:
//
//   struct Scale {
//     static constexpr auto signature = "scale(x[...], factor=2.0) -> y[...]";
//     static void compute(View<const float> x, float factor, View<float> y);
//   };
//
// The parameters of compute are the arguments in the order of the signature, then the outputs, then, if wanted,
// `const Parallel&`. Inputs are `View<const T>`, outputs `View<T>`, attributes `float` or `std::int64_t`; the
// grammar of the text is in op/parse.h. Text and parameters are checked against each other when compiled, shapes
// are checked before compute is called, outputs are allocated and never overlap the inputs. compute must write
// every element of its outputs, must not throw, and must accept sizes of zero.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include "op/descriptor.h"
#include "op/parse.h"
#include "op/view.h"

namespace [[gnu::visibility("hidden")]] op {

/// What a parameter of compute is.
template <class Parameter>
struct Role;

template <class T>
consteval Type type_of() {
  if (std::is_same_v<T, float>) return Type::kFloat32;
  if (std::is_same_v<T, double>) return Type::kFloat64;
  if (std::is_same_v<T, std::int64_t>) return Type::kInt64;
  if (std::is_same_v<T, std::int32_t>) return Type::kInt32;
  if (std::is_same_v<T, std::int8_t>) return Type::kInt8;
  if (std::is_same_v<T, std::uint8_t>) return Type::kUint8;
  if (!std::is_same_v<T, bool>) signature_error("compute uses an element type that is not supported");
  return Type::kBool;
}

enum class Part : std::uint8_t { kInput, kOutput, kInteger, kReal, kParallel };

template <class T>
struct Role<View<const T>> {
  static constexpr Part part = Part::kInput;
  static constexpr Type type = type_of<T>();
  static View<const T> get(const Buffer& buffer) { return {static_cast<const T*>(buffer.data), buffer.shape}; }
};
template <class T>
struct Role<View<T>> {
  static constexpr Part part = Part::kOutput;
  static constexpr Type type = type_of<T>();
  static View<T> get(const Buffer& buffer) { return {static_cast<T*>(buffer.data), buffer.shape}; }
};
template <>
struct Role<std::int64_t> {
  static constexpr Part part = Part::kInteger;
};
template <>
struct Role<float> {
  static constexpr Part part = Part::kReal;
};
template <>
struct Role<const Parallel&> {
  static constexpr Part part = Part::kParallel;
};

/// Checks a parsed signature against the parameters of compute and fills in the types.
template <class... Parameters>
class Checker {
 public:
  consteval explicit Checker(Op op) : op_(op) {}

  consteval Op check() {
    (parameter<Role<Parameters>>(), ...);
    if (arguments_ != op_.arguments.size()) signature_error("compute has fewer arguments than the signature");
    if (outputs_ != op_.outputs.size()) signature_error("compute has fewer outputs than the signature");
    for (const Term& term : op_.terms) {
      if (term.kind == Term::kAttribute && op_.attributes[term.value].real) {
        signature_error("an attribute that is used in a dimension must be std::int64_t in compute");
      }
    }
    return op_;
  }

 private:
  template <class R>
  consteval void parameter() {
    if (parallel_) signature_error("const Parallel& must be the last parameter of compute");
    if constexpr (R::part == Part::kParallel) {
      parallel_ = true;
    } else if constexpr (R::part == Part::kOutput) {
      output(R::type);
    } else {
      argument(R::part == Part::kInput);
      if constexpr (R::part == Part::kInput) {
        op_.inputs[op_.arguments[arguments_ - 1].index].type = R::type;
      } else {
        attribute(op_.attributes[op_.arguments[arguments_ - 1].index], R::part == Part::kReal);
      }
    }
  }

  consteval void output(Type type) {
    if (outputs_ >= op_.outputs.size()) signature_error("compute has more outputs than the signature");
    op_.outputs[outputs_++].type = type;
  }

  consteval void argument(bool tensor) {
    if (outputs_ > 0) signature_error("compute must take its arguments before its outputs");
    if (arguments_ >= op_.arguments.size()) signature_error("compute has more arguments than the signature");
    if (op_.arguments[arguments_++].tensor != tensor) {
      signature_error("a tensor of the signature is a number in compute, or the other way round");
    }
  }

  consteval void attribute(Attribute& attribute, bool real) {
    if (!real && attribute.default_text.find('.') != std::string_view::npos) {
      signature_error("an attribute with a fractional default must be float in compute");
    }
    attribute.real = real;
  }

  Op op_;
  int arguments_ = 0;
  int outputs_ = 0;
  bool parallel_ = false;
};

/// Calls the compute of an op from arrays without types.
template <class T, class... Parameters>
class Call {
 public:
  static void run(const Buffer* inputs, const Scalar* attributes, const Buffer* outputs, const Parallel& parallel) {
    unpack(std::index_sequence_for<Parameters...>{}, inputs, attributes, outputs, parallel);
  }

 private:
  /// How many parameters of this part stand before one.
  static consteval std::size_t before(std::size_t parameter, bool (*is)(Part)) {
    constexpr std::array<Part, sizeof...(Parameters)> parts = {Role<Parameters>::part...};
    std::size_t count = 0;
    for (std::size_t i = 0; i < parameter; ++i) count += is(parts[i]) ? 1 : 0;
    return count;
  }

  template <std::size_t... I>
  static void unpack(std::index_sequence<I...>, const Buffer* inputs, const Scalar* attributes, const Buffer* outputs,
                     const Parallel& parallel) {
    T::compute(get<I, Parameters>(inputs, attributes, outputs, parallel)...);
  }

  template <std::size_t I, class Parameter>
  static decltype(auto) get(const Buffer* inputs, const Scalar* attributes, const Buffer* outputs,
                            const Parallel& parallel) {
    constexpr Part part = Role<Parameter>::part;
    if constexpr (part == Part::kInput) {
      return Role<Parameter>::get(inputs[before(I, [](Part p) { return p == Part::kInput; })]);
    } else if constexpr (part == Part::kOutput) {
      return Role<Parameter>::get(outputs[before(I, [](Part p) { return p == Part::kOutput; })]);
    } else if constexpr (part == Part::kParallel) {
      return parallel;
    } else {
      const Scalar& value = attributes[before(I, [](Part p) { return p == Part::kInteger || p == Part::kReal; })];
      if constexpr (part == Part::kReal)
        return static_cast<Parameter>(value.real);
      else
        return static_cast<Parameter>(value.integer);
    }
  }
};

template <class T, class... Parameters>
consteval Op describe(void (*)(Parameters...), bool training) {
  Op op = Checker<Parameters...>(Parser(T::signature).parse()).check();
  op.training = training;
  op.compute = &Call<T, Parameters...>::run;
  return op;
}

/// A list of ops. `ops.h` of a library says `using Ops = List<...>;`, and may say `using Training = List<...>;`
/// for ops that only autograd calls, which no inference runtime gets.
template <class... Structs>
struct List {
  static constexpr std::size_t size = sizeof...(Structs);

  static consteval std::array<Op, size> describe_all(bool training) {
    return {describe<Structs>(&Structs::compute, training)...};
  }
};

namespace defaults {
using Training = List<>;
}
// Names in a library's ops.h hide the defaults.
using namespace defaults;

/// Every op of the library; defined in ops.cpp, ready before any static initialiser runs.
extern const std::span<const Op> ops;

/// The namespace or domain that the ops are registered under.
extern const std::string_view library;

}  // namespace op
