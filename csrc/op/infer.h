// The shape rule: checks the inputs of a call against the signature and works out the shapes of the outputs.
// One rule serves run-time shapes, torch's symbolic shapes and ONNX Runtime's partly known ones.
#pragma once

#include <optional>
#include <string>

#include "op/descriptor.h"

namespace [[gnu::visibility("hidden")]] op {

template <class D>
using Shape = Inline<D, kMaxRank>;

/// How sizes of type `Dim` are compared and divided. A binding with sizes of another kind has its own rules
/// with the same five functions.
struct Exact {
  using Dim = std::int64_t;
  static bool same(Dim a, Dim b) { return a == b; }
  /// Whether b tells more about the size than a.
  static bool better(Dim, Dim) { return false; }
  static bool zero(Dim a) { return a == 0; }
  static bool negative(Dim a) { return a < 0; }
  static Dim divide(Dim a, Dim b) { return a / b - ((a % b != 0 && (a < 0) != (b < 0)) ? 1 : 0); }
  static std::string text(Dim a) { return std::to_string(a); }
};

/// One call's shapes under `Rules`. `run` returns an empty text, or what is wrong.
template <class Rules>
class Inference {
 public:
  using Dim = Rules::Dim;

  Inference(const Op& op, const Scalar* attributes) : op_(op), attributes_(attributes) {}

  std::string run(const Shape<Dim>* inputs, Shape<Dim>* outputs) {
    for (int i = 0; i < op_.inputs.size() && error_.empty(); ++i) bind(op_.inputs[i], inputs[i]);
    for (int i = 0; i < op_.inputs.size() && error_.empty(); ++i) check(op_.inputs[i], inputs[i]);
    for (int i = 0; i < op_.outputs.size() && error_.empty(); ++i) fill(op_.outputs[i], outputs[i]);
    return error_.empty() ? error_ : std::string(op_.name) + ": " + error_;
  }

 private:
  static int spread_size(const Tensor& tensor, const Shape<Dim>& shape) { return shape.size() - tensor.rank; }

  /// Where dimension `at` of the signature lies in a shape.
  static int place(const Tensor& tensor, const Shape<Dim>& shape, int at) {
    return tensor.spread >= 0 && at >= tensor.spread ? at + spread_size(tensor, shape) : at;
  }

  void fail(const Tensor& tensor, const std::string& what) { error_ = std::string(tensor.name) + " " + what; }

  /// Gives each name the size at which it stands alone.
  void bind(const Tensor& tensor, const Shape<Dim>& shape) {
    const int extra = spread_size(tensor, shape);
    if (tensor.spread < 0 ? extra != 0 : extra < 0) {
      return fail(tensor, "has " + std::to_string(shape.size()) + " dimensions, not " + std::to_string(tensor.rank) +
                              (tensor.spread < 0 ? "" : " or more"));
    }
    if (tensor.spread >= 0) bind_spread(tensor, shape);
    const auto dims = op_.dims(tensor);
    for (int at = 0; at < tensor.rank; ++at) {
      const auto formula = op_.formula(dims[static_cast<std::size_t>(at)]);
      if (formula.size() == 1 && formula[0].kind == Term::kSymbol)
        learn(formula[0].value, shape[place(tensor, shape, at)]);
    }
  }

  void learn(int symbol, const Dim& size) {
    if (!known_[symbol] || Rules::better(symbols_[symbol], size)) symbols_[symbol] = size;
    known_[symbol] = true;
  }

  void bind_spread(const Tensor& tensor, const Shape<Dim>& shape) {
    if (!has_spread_) {
      has_spread_ = true;
      for (int i = 0; i < spread_size(tensor, shape); ++i) spread_.push(shape[tensor.spread + i]);
      return;
    }
    if (spread_.size() != spread_size(tensor, shape)) return fail(tensor, "has another number of leading dimensions");
    for (int i = 0; i < spread_.size(); ++i) {
      const Dim& size = shape[tensor.spread + i];
      if (Rules::better(spread_[i], size)) spread_[i] = size;
    }
  }

  void check(const Tensor& tensor, const Shape<Dim>& shape) {
    if (tensor.spread >= 0) check_spread(tensor, shape);
    const auto dims = op_.dims(tensor);
    for (int at = 0; at < tensor.rank && error_.empty(); ++at) {
      const Dimension& dimension = dims[static_cast<std::size_t>(at)];
      const std::optional<Dim> expected = evaluate(tensor, dimension);
      if (!expected) return;
      const int where = place(tensor, shape, at);
      if (!Rules::same(shape[where], *expected)) mismatch(tensor, where, dimension.text, shape[where], *expected);
    }
  }

  void check_spread(const Tensor& tensor, const Shape<Dim>& shape) {
    for (int i = 0; i < spread_.size() && error_.empty(); ++i) {
      const int where = tensor.spread + i;
      if (!Rules::same(shape[where], spread_[i])) mismatch(tensor, where, "...", shape[where], spread_[i]);
    }
  }

  void mismatch(const Tensor& tensor, int where, std::string_view rule, const Dim& size, const Dim& expected) {
    fail(tensor, "dimension " + std::to_string(where) + " (" + std::string(rule) + ") is " + Rules::text(size) +
                     " and must be " + Rules::text(expected));
  }

  void fill(const Tensor& tensor, Shape<Dim>& shape) {
    shape.count = 0;
    const int rank = tensor.rank + (tensor.spread >= 0 ? spread_.size() : 0);
    if (rank > kMaxRank) return fail(tensor, "would have " + std::to_string(rank) + " dimensions; 8 are the most");
    const auto dims = op_.dims(tensor);
    for (int at = 0; at <= tensor.rank && error_.empty(); ++at) {
      if (at == tensor.spread) {
        for (const Dim& size : spread_) shape.push(size);
      }
      if (at == tensor.rank) return;
      const std::optional<Dim> size = evaluate(tensor, dims[static_cast<std::size_t>(at)]);
      if (!size) return;
      if (Rules::negative(*size)) return fail(tensor, "would have a negative size: " + Rules::text(*size));
      shape.push(*size);
    }
  }

  std::optional<Dim> evaluate(const Tensor& tensor, const Dimension& dimension) {
    Inline<Dim, kMaxRank> stack;
    for (const Term& term : op_.formula(dimension)) {
      if (term.kind <= Term::kAttribute) {
        stack.push(operand(term));
        continue;
      }
      const Dim right = stack[--stack.count];
      Dim& left = stack[stack.count - 1];
      if (term.kind == Term::kDivide && Rules::zero(right)) {
        fail(tensor, "dimension (" + std::string(dimension.text) + ") divides by zero");
        return std::nullopt;
      }
      left = apply(term.kind, left, right);
    }
    return stack[0];
  }

  Dim operand(const Term& term) const {
    if (term.kind == Term::kSymbol) return symbols_[term.value];
    return Dim(term.kind == Term::kNumber ? std::int64_t{term.value} : attributes_[term.value].integer);
  }

  static Dim apply(Term::Kind kind, const Dim& left, const Dim& right) {
    switch (kind) {
      case Term::kAdd:
        return left + right;
      case Term::kSubtract:
        return left - right;
      case Term::kMultiply:
        return left * right;
      default:
        return Rules::divide(left, right);
    }
  }

  const Op& op_;
  const Scalar* attributes_;
  Inline<Dim, kMaxSymbols> symbols_;
  Inline<bool, kMaxSymbols> known_;
  Shape<Dim> spread_;
  bool has_spread_ = false;
  std::string error_;
};

}  // namespace op
