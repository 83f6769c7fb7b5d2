// Reads a signature at compile time. What is wrong with one is a compile error that shows the line below
// with its message.
//
//   signature  = name "(" [argument {"," argument}] ")" "->" tensor {"," tensor}
//   argument   = tensor | name ["=" number]
//   tensor     = name "[" [dimension {"," dimension}] "]"
//   dimension  = "..." | sum          `...` stands for any number of dimensions, the same ones wherever it stands
//   sum        = product {("+" | "-") product}
//   product    = factor {("*" | "/") factor}          `/` rounds down
//   factor     = number [name] | name | "(" sum ")"          `3H` is 3 times H
#pragma once

#include "op/descriptor.h"

namespace [[gnu::visibility("hidden")]] op {

void signature_error(const char* message);  // never defined: reaching it stops the compiler

class Parser {
 public:
  consteval explicit Parser(std::string_view text) : text_(text) {}

  consteval Op parse() {
    op_.signature = text_;
    op_.name = word();
    expect('(');
    if (!eat(')')) {
      do argument();
      while (eat(','));
      expect(')');
    }
    expect('-');
    if (at_ >= text_.size() || text_[at_] != '>') signature_error("expected -> before the outputs");
    ++at_;
    do output();
    while (eat(','));
    if (skip() != '\0') signature_error("unexpected text after the last output");
    check_bound();
    return op_;
  }

 private:
  static constexpr bool digit(char c) { return c >= '0' && c <= '9'; }
  static constexpr bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

  /// Skips blanks; returns the character that follows.
  constexpr char skip() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }

  constexpr bool eat(char wanted) {
    if (skip() != wanted) return false;
    ++at_;
    return true;
  }

  constexpr void expect(char wanted) {
    if (!eat(wanted)) signature_error("a bracket, comma or arrow is missing in the signature");
  }

  constexpr std::string_view word() {
    if (!letter(skip())) signature_error("a name is missing in the signature");
    const std::size_t from = at_;
    while (at_ < text_.size() && (letter(text_[at_]) || digit(text_[at_]))) ++at_;
    return text_.substr(from, at_ - from);
  }

  constexpr std::int32_t number() {
    std::int64_t value = 0;
    while (at_ < text_.size() && digit(text_[at_])) {
      value = value * 10 + (text_[at_++] - '0');
      if (value > 0x7fffffff) signature_error("a number in the signature is too large");
    }
    return static_cast<std::int32_t>(value);
  }

  constexpr void argument() {
    const std::string_view name = fresh(word());
    const bool tensor = skip() == '[';
    op_.arguments.push({tensor, static_cast<std::int16_t>(tensor ? op_.inputs.size() : op_.attributes.size())});
    if (tensor) {
      op_.inputs.push(dimensions(name));
    } else {
      op_.attributes.push(attribute(name));
    }
  }

  constexpr void output() {
    const std::string_view name = fresh(word());
    if (skip() != '[') signature_error("an output must have dimensions in brackets");
    outputs_ = true;
    const Tensor tensor = dimensions(name);
    if (tensor.spread >= 0 && !has_spread_) signature_error("an output has ... but no input has");
    op_.outputs.push(tensor);
  }

  /// Returns the name if nothing else is called so.
  constexpr std::string_view fresh(std::string_view name) const {
    bool taken = false;
    for (const Tensor& tensor : op_.inputs) taken = taken || tensor.name == name;
    for (const Tensor& tensor : op_.outputs) taken = taken || tensor.name == name;
    for (const Attribute& attribute : op_.attributes) taken = taken || attribute.name == name;
    if (taken) signature_error("two arguments or outputs have the same name");
    return name;
  }

  constexpr Attribute attribute(std::string_view name) {
    Attribute result;
    result.name = name;
    if (!eat('=')) return result;
    skip();
    const std::size_t from = at_;
    const double sign = eat('-') ? -1 : 1;
    if (at_ >= text_.size() || !digit(text_[at_])) signature_error("the default of an attribute must be a number");
    result.value = sign * (number() + fraction());
    result.default_text = text_.substr(from, at_ - from);
    return result;
  }

  constexpr double fraction() {
    if (at_ >= text_.size() || text_[at_] != '.') return 0;
    ++at_;
    double value = 0;
    double scale = 1;
    while (at_ < text_.size() && digit(text_[at_])) {
      value = value * 10 + (text_[at_++] - '0');
      scale *= 10;
    }
    if (scale == 1) signature_error("digits are missing after the decimal point");
    return value / scale;
  }

  constexpr Tensor dimensions(std::string_view name) {
    Tensor tensor;
    tensor.name = name;
    tensor.first = static_cast<std::int16_t>(op_.dimensions.size());
    expect('[');
    if (eat(']')) return tensor;
    do dimension(tensor);
    while (eat(','));
    expect(']');
    if (tensor.rank > kMaxRank) signature_error("a tensor has more than 8 dimensions");
    return tensor;
  }

  constexpr void dimension(Tensor& tensor) {
    if (skip() == '.') return spread(tensor);
    Dimension result;
    result.first = static_cast<std::int16_t>(op_.terms.size());
    const std::size_t from = at_;
    sum();
    std::size_t to = at_;
    while (text_[to - 1] == ' ') --to;
    result.text = text_.substr(from, to - from);
    result.count = static_cast<std::int16_t>(op_.terms.size() - result.first);
    check_depth(result);
    if (!outputs_ && result.count == 1) bind(op_.terms[result.first]);
    op_.dimensions.push(result);
    ++tensor.rank;
  }

  /// The shape rule evaluates a formula on a small stack.
  constexpr void check_depth(const Dimension& dimension) const {
    int depth = 0;
    for (const Term& term : op_.formula(dimension)) {
      depth += term.kind <= Term::kAttribute ? 1 : -1;
      if (depth > kMaxRank) signature_error("a dimension has too many nested brackets");
    }
  }

  constexpr void spread(Tensor& tensor) {
    if (text_.substr(at_, 3) != "...") signature_error("expected ... in a dimension");
    if (tensor.spread >= 0) signature_error("a tensor has ... twice");
    at_ += 3;
    tensor.spread = tensor.rank;
    has_spread_ = has_spread_ || !outputs_;
  }

  constexpr void bind(const Term& term) {
    if (term.kind == Term::kSymbol) bound_[term.value] = true;
  }

  constexpr void sum() {
    product();
    for (;;) {
      if (eat('+')) {
        product();
        op_.terms.push({Term::kAdd, 0});
      } else if (eat('-')) {
        product();
        op_.terms.push({Term::kSubtract, 0});
      } else {
        return;
      }
    }
  }

  constexpr void product() {
    factor();
    for (;;) {
      if (eat('*')) {
        factor();
        op_.terms.push({Term::kMultiply, 0});
      } else if (eat('/')) {
        factor();
        op_.terms.push({Term::kDivide, 0});
      } else {
        return;
      }
    }
  }

  constexpr void factor() {
    if (eat('(')) {
      sum();
      return expect(')');
    }
    if (!digit(skip())) return op_.terms.push(reference(word()));
    op_.terms.push({Term::kNumber, number()});
    if (at_ >= text_.size() || !letter(text_[at_])) return;
    op_.terms.push(reference(word()));
    op_.terms.push({Term::kMultiply, 0});
  }

  /// An attribute of that name, else a symbol, which is made when it is new.
  constexpr Term reference(std::string_view name) {
    for (int i = 0; i < op_.attributes.size(); ++i) {
      if (op_.attributes[i].name == name) return {Term::kAttribute, i};
    }
    for (int i = 0; i < op_.symbols.size(); ++i) {
      if (op_.symbols[i] == name) return {Term::kSymbol, i};
    }
    op_.symbols.push(name);
    return {Term::kSymbol, op_.symbols.size() - 1};
  }

  constexpr void check_bound() const {
    for (const Term& term : op_.terms) {
      if (term.kind == Term::kSymbol) unambiguous(op_.symbols[term.value]);
    }
    for (int i = 0; i < op_.symbols.size(); ++i) {
      if (!bound_[i]) signature_error("a dimension must stand alone in some input, as the H of h0[B,H]");
    }
  }

  /// An attribute that follows a dimension of its name would silently mean another thing.
  constexpr void unambiguous(std::string_view symbol) const {
    for (const Attribute& attribute : op_.attributes) {
      if (attribute.name == symbol) signature_error("an attribute is used in a dimension before it is declared");
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
  bool outputs_ = false;
  bool has_spread_ = false;
  Inline<bool, kMaxSymbols> bound_;
  Op op_;
};

}  // namespace op
