// A `.tflite` file that is open in LiteRT, and what stands in it.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backends/litert_functions.h"
#include "error.h"
#include "tensor.h"

namespace [[gnu::visibility("hidden")]] litert {

/// An input or output of a signature.
struct Place {
  dp_dtype dtype;
  TensorType type;      ///< With the shape as it is in the file.
  std::uint32_t index;  ///< Of the tensor in the file.
};

/// The signatures that take one batch each have such keys.
inline constexpr std::string_view kBatch = "batch_";

/// A signature of a file: its number, and the batch that it takes, 0 where that is open.
struct Sized {
  std::size_t signature = 0;
  std::int64_t batch = 0;
};

class File {
 public:
  /// Throws Failed.
  File(const Functions& functions, const std::filesystem::path& path)
      : api_(functions), name_(path.filename().string()) {
    constexpr std::array<Setting, 2> settings = {
        {{kAccelerators, {kInteger, kCpu}}, {kSeverity, {kInteger, kOnlyErrors}}}};
    environment_.reset(get<Environment>(api_.create_environment, static_cast<int>(settings.size()), settings.data()));
    model_.reset(get<Model>(api_.create_model_from_file, environment(), path.c_str()));
  }

  Environment environment() const { return environment_.get(); }
  Model model() const { return model_.get(); }
  const std::string& name() const { return name_; }

  /// The signatures for a batch each, the largest first; none where the batch is open.
  std::vector<Sized> sized() const {
    std::vector<Sized> found;
    const auto count = get<std::size_t>(api_.signatures, model());
    for (std::size_t i = 0; i < count; ++i) {
      const std::string_view key = get<const char*>(api_.signature_key, signature(i));
      if (key.starts_with(kBatch)) found.push_back({i, batch_of(key.substr(kBatch.size()))});
    }
    std::sort(found.begin(), found.end(), [](const Sized& a, const Sized& b) { return a.batch > b.batch; });
    return found;
  }

  std::vector<Place> inputs(std::size_t signature) const {
    return places(signature, api_.signature_inputs, api_.signature_input);
  }
  std::vector<Place> outputs(std::size_t signature) const {
    return places(signature, api_.signature_outputs, api_.signature_output);
  }

  /// The codes of all custom ops, each once.
  std::set<std::string> custom_codes(const Api& api) const {
    std::set<std::string> codes;
    const auto subgraphs = get<std::size_t>(api.subgraphs, model());
    for (std::size_t i = 0; i < subgraphs; ++i) add_codes(api, get<Subgraph>(api.subgraph_at, model(), i), codes);
    return codes;
  }

 private:
  Signature signature(std::size_t index) const { return get<Signature>(api_.signature_at, model(), index); }

  std::int64_t batch_of(std::string_view text) const {
    std::int64_t batch = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), batch);
    if (error == std::errc() && end == text.data() + text.size() && batch > 0) return batch;
    throw dp::Error(DP_RUNTIME_FAILED, name_ + " has a signature for no batch: batch_" + std::string(text),
                    "Build the bundle again.");
  }

  std::vector<Place> places(std::size_t index, Status (*count)(Signature, std::size_t*),
                            Status (*at)(Signature, std::size_t, Tensor*)) const {
    std::vector<Place> found;
    const auto total = get<std::size_t>(count, signature(index));
    for (std::size_t i = 0; i < total; ++i) {
      const auto tensor = get<Tensor>(at, signature(index), i);
      const auto type = get<TensorType>(api_.tensor_type, tensor);
      found.push_back({dtype_of(type.element), type, get<std::uint32_t>(api_.tensor_index, tensor)});
    }
    return found;
  }

  dp_dtype dtype_of(ElementType element) const {
    constexpr std::array<std::pair<ElementType, dp_dtype>, 7> types = {{{kFloat32, DP_FLOAT32},
                                                                        {kFloat64, DP_FLOAT64},
                                                                        {kInt8, DP_INT8},
                                                                        {kUint8, DP_UINT8},
                                                                        {kInt32, DP_INT32},
                                                                        {kInt64, DP_INT64},
                                                                        {kBool, DP_BOOL}}};
    for (const auto& [known, dtype] : types) {
      if (known == element) return dtype;
    }
    throw dp::Error(DP_UNSUPPORTED, name_ + " has an input or output of a type that the SDK has not",
                    "Build the bundle again.");
  }

  static void add_codes(const Api& api, Subgraph subgraph, std::set<std::string>& codes) {
    const auto nodes = get<std::size_t>(api.nodes, subgraph);
    for (std::size_t i = 0; i < nodes; ++i) {
      auto* const node = get<Node>(api.node_at, subgraph, i);
      if (get<OpCode>(api.code_of, node) == kCustom) codes.insert(get<const char*>(api.custom_code, node));
    }
  }

  const Functions& api_;
  std::string name_;
  Owned<Environment> environment_{nullptr, api_.destroy_environment};
  Owned<Model> model_{nullptr, api_.destroy_model};
};

}  // namespace litert
