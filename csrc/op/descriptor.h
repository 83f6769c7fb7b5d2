// An op as plain data: what the bindings loop over. Made at compile time from a signature (see parse.h).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "op/view.h"

namespace [[gnu::visibility("hidden")]] op {

inline constexpr int kMaxRank = 8;
inline constexpr int kMaxTensors = 12;
inline constexpr int kMaxAttributes = 8;
inline constexpr int kMaxSymbols = 16;

/// A vector with a fixed capacity that works at compile time; a push beyond it does not compile there.
template <class T, int Capacity>
struct Inline {
  std::array<T, Capacity> items{};
  int count = 0;

  constexpr void push(T item) { items.at(static_cast<std::size_t>(count++)) = std::move(item); }
  constexpr int size() const { return count; }
  constexpr T& operator[](int at) { return items[static_cast<std::size_t>(at)]; }
  constexpr const T& operator[](int at) const { return items[static_cast<std::size_t>(at)]; }
  constexpr const T* begin() const { return items.data(); }
  constexpr const T* end() const { return items.data() + count; }
};

enum class Type : std::uint8_t { kFloat32, kFloat64, kInt64, kInt32, kInt8, kUint8, kBool };

constexpr std::string_view name(Type type) {
  constexpr std::array<std::string_view, 7> names = {"float32", "float64", "int64", "int32", "int8", "uint8", "bool"};
  return names.at(static_cast<std::size_t>(type));
}

/// One step of a dimension's formula in postfix order.
struct Term {
  enum Kind : std::uint8_t { kNumber, kSymbol, kAttribute, kAdd, kSubtract, kMultiply, kDivide };
  Kind kind;
  std::int32_t value;  // the number, or the index of the symbol or attribute
};

/// A dimension: its text in the signature and its formula, a range of `Op::terms`.
struct Dimension {
  std::string_view text;
  std::int16_t first = 0;
  std::int16_t count = 0;
};

/// A tensor of the signature: its dimensions are a range of `Op::dimensions`.
struct Tensor {
  std::string_view name;
  Type type = Type::kFloat32;
  std::int16_t first = 0;
  std::int16_t rank = 0;     // without the dimensions that `...` stands for
  std::int16_t spread = -1;  // where `...` stands among the dimensions; -1 where it does not
};

/// A number that is fixed when the model is built.
struct Attribute {
  std::string_view name;
  std::string_view default_text;  // empty where the attribute must be given
  bool real = false;              // else an integer
  double value = 0;               // the default
};

/// An argument in the order of the signature: the index of an input or of an attribute.
struct Argument {
  bool tensor = false;
  std::int16_t index = 0;
};

/// A tensor's memory without its type.
struct Buffer {
  void* data = nullptr;
  std::span<const std::int64_t> shape;
};

/// The value of an attribute; which member counts is told by `Attribute::real`.
struct Scalar {
  double real = 0;
  std::int64_t integer = 0;
};

using Compute = void (*)(const Buffer* inputs, const Scalar* attributes, const Buffer* outputs, const Parallel&);

/// All that a binding knows of an op.
struct Op {
  std::string_view name;
  std::string_view signature;
  bool training = false;  // for autograd only: inference runtimes leave it out
  Compute compute = nullptr;
  Inline<Tensor, kMaxTensors> inputs;
  Inline<Tensor, kMaxTensors> outputs;
  Inline<Attribute, kMaxAttributes> attributes;
  Inline<Argument, kMaxTensors + kMaxAttributes> arguments;
  Inline<std::string_view, kMaxSymbols> symbols;
  Inline<Dimension, 64> dimensions;
  Inline<Term, 160> terms;

  constexpr std::span<const Dimension> dims(const Tensor& tensor) const {
    return std::span(dimensions.begin() + tensor.first, static_cast<std::size_t>(tensor.rank));
  }
  constexpr std::span<const Term> formula(const Dimension& dimension) const {
    return std::span(terms.begin() + dimension.first, static_cast<std::size_t>(dimension.count));
  }
};

}  // namespace op
