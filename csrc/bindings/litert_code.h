// The code of a custom op in a LiteRT model: `custom_call.<library>.<op>`, then `;name=value` for each attribute.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "op.h"

namespace [[gnu::visibility("hidden")]] litert {

using Attributes = std::array<op::Scalar, op::kMaxAttributes>;

/// An op that every library has for the self-test: types, shapes and attributes of several kinds in one call.
struct Probe {
  static constexpr auto signature = "__selftest(x[B,N], at[B], scale, step=1) -> turned[N,B], moved[B+step]";

  static void compute(op::View<const float> x, op::View<const std::int64_t> at, float scale, std::int64_t step,
                      op::View<float> turned, op::View<std::int64_t> moved) {
    const std::int64_t rows = x.shape[0];
    const std::int64_t columns = x.shape[1];
    for (std::int64_t i = 0; i < x.size(); ++i) turned[i % columns * rows + i / columns] = x[i] * scale;
    for (std::int64_t i = 0; i < moved.size(); ++i) moved[i] = i < step ? -1 : at[i - step];
  }
};

inline constexpr op::Op kProbe = op::describe<Probe>(&Probe::compute, false);

inline const op::Op* find_op(std::string_view name) {
  for (const op::Op& op : op::ops) {
    if (op.name == name && !op.training) return &op;
  }
  return name == kProbe.name ? &kProbe : nullptr;
}

/// What a custom code of this library stands for.
class Code {
 public:
  static std::string prefix() { return "custom_call." + std::string(op::library) + "."; }

  explicit Code(std::string_view text) {
    std::string_view rest = text.substr(prefix().size());
    op_ = find_op(next(rest));
    if (op_ == nullptr) {
      fail(text, "this library has no such op");
      return;
    }
    while (!rest.empty() && error_.empty()) read(text, next(rest));
    for (int i = 0; i < op_->attributes.size() && error_.empty(); ++i) complete(text, i);
  }

  const op::Op& op() const { return *op_; }
  const Attributes& attributes() const { return attributes_; }
  /// Empty, or what is wrong with the code.
  const std::string& error() const { return error_; }

 private:
  /// Takes the part before the next semicolon off a text.
  static std::string_view next(std::string_view& rest) {
    const std::size_t end = std::min(rest.find(';'), rest.size());
    const std::string_view part = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return part;
  }

  template <class T>
  static bool parse(std::string_view text, T& value) {
    const char* begin = text.data();
    const char* end = begin + text.size();
    const auto [stop, code] = std::from_chars(begin, end, value);
    return code == std::errc() && stop == end;
  }

  void fail(std::string_view text, const std::string& what) { error_ = std::string(text) + ": " + what; }

  void read(std::string_view text, std::string_view setting) {
    const std::size_t equals = setting.find('=');
    if (equals == std::string_view::npos) return fail(text, "'" + std::string(setting) + "' is not name=value");
    const int index = attribute(setting.substr(0, equals));
    if (index < 0) return fail(text, "there is no attribute '" + std::string(setting.substr(0, equals)) + "'");
    const auto at = static_cast<std::size_t>(index);
    if (std::exchange(given_.at(at), true)) return fail(text, "an attribute stands there twice");
    op::Scalar& value = attributes_.at(at);
    const std::string_view number = setting.substr(equals + 1);
    const bool right = op_->attributes[index].real ? parse(number, value.real) : parse(number, value.integer);
    if (!right) fail(text, "'" + std::string(number) + "' is not a number of the attribute's kind");
  }

  int attribute(std::string_view name) const {
    for (int i = 0; i < op_->attributes.size(); ++i) {
      if (op_->attributes[i].name == name) return i;
    }
    return -1;
  }

  void complete(std::string_view text, int index) {
    const op::Attribute& attribute = op_->attributes[index];
    const auto at = static_cast<std::size_t>(index);
    if (given_.at(at)) return;
    if (attribute.default_text.empty()) {
      return fail(text, "the attribute '" + std::string(attribute.name) + "' is missing");
    }
    attributes_.at(at) = {attribute.value, static_cast<std::int64_t>(attribute.value)};
  }

  const op::Op* op_ = nullptr;
  Attributes attributes_;
  std::array<bool, op::kMaxAttributes> given_{};
  std::string error_;
};

}  // namespace litert
