// Writes the descriptors as JSON at compile time, so that a tool can read them from a library's bytes without
// loading it, for any platform.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

#include "op/descriptor.h"

namespace [[gnu::visibility("hidden")]] op {

/// Appends to a buffer, or only counts where there is none.
class Json {
 public:
  constexpr explicit Json(char* out) : out_(out) {}

  constexpr std::size_t library(std::string_view name_space, std::span<const Op> ops) {
    text("{\"namespace\": ").quoted(name_space).text(", \"ops\": [");
    for (std::size_t i = 0; i < ops.size(); ++i) {
      text(i == 0 ? "" : ", ");
      op(ops[i]);
    }
    text("]}");
    return size_;
  }

 private:
  constexpr Json& text(std::string_view part) {
    for (const char c : part) {
      if (out_ != nullptr) out_[size_] = c;
      ++size_;
    }
    return *this;
  }

  constexpr Json& quoted(std::string_view part) { return text("\"").text(part).text("\""); }

  constexpr void op(const Op& op) {
    text("{\"name\": ").quoted(op.name).text(", \"signature\": ").quoted(op.signature);
    text(", \"training\": ").text(op.training ? "true" : "false").text(", \"inputs\": [");
    tensors(op, op.inputs);
    text("], \"attributes\": [");
    for (int i = 0; i < op.attributes.size(); ++i) {
      text(i == 0 ? "" : ", ");
      attribute(op.attributes[i]);
    }
    text("], \"outputs\": [");
    tensors(op, op.outputs);
    text("]}");
  }

  constexpr void attribute(const Attribute& attribute) {
    text("{\"name\": ").quoted(attribute.name).text(", \"type\": ").quoted(attribute.real ? "float" : "int");
    text(", \"default\": ").text(attribute.default_text.empty() ? "null" : attribute.default_text).text("}");
  }

  constexpr void tensors(const Op& op, const Inline<Tensor, kMaxTensors>& tensors) {
    for (int i = 0; i < tensors.size(); ++i) {
      text(i == 0 ? "" : ", ").text("{\"name\": ").quoted(tensors[i].name);
      text(", \"dtype\": ").quoted(name(tensors[i].type)).text(", \"dims\": [");
      dims(op, tensors[i]);
      text("]}");
    }
  }

  constexpr void dims(const Op& op, const Tensor& tensor) {
    const auto dims = op.dims(tensor);
    std::string_view comma;
    for (int at = 0; at <= tensor.rank; ++at) {
      if (at == tensor.spread) comma = next(comma, "...");
      if (at < tensor.rank) comma = next(comma, dims[static_cast<std::size_t>(at)].text);
    }
  }

  constexpr std::string_view next(std::string_view comma, std::string_view item) {
    text(comma).quoted(item);
    return ", ";
  }

  char* out_;
  std::size_t size_ = 0;
};

}  // namespace op
