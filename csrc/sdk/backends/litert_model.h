// A signature of a file, compiled for the CPU; deploypipe/runtimes/tflite/compiled.py does the same in Python.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "backends/litert_file.h"
#include "backends/litert_functions.h"
#include "backends/litert_op_library.h"
#include "backends/said.h"
#include "error.h"
#include "tensor.h"

namespace [[gnu::visibility("hidden")]] litert {

using Shape = std::vector<std::int64_t>;

/// An error of a run; `reason` is what LiteRT or a kernel says.
inline dp::Error refusal(const std::string& reason) {
  constexpr std::string_view unresolved = "unresolved custom op: ";
  const std::size_t at = reason.find(unresolved);
  if (at != std::string::npos) {
    const std::size_t begin = at + unresolved.size();
    return {DP_RUNTIME_FAILED,
            "There is no kernel for " + dp::said(reason.substr(begin, reason.find(' ', begin) - begin)),
            "Give the model the op library that it needs."};
  }
  return {DP_RUNTIME_FAILED, "LiteRT refuses the input: " + (reason.empty() ? "no reason given" : reason),
          "Keep to the sizes in the manifest."};
}

/// One thread at a time may use it.
class CompiledSignature {
 public:
  /// `libraries` and `file` outlive it. Throws Failed, or an Error.
  CompiledSignature(const Functions& functions, void* litert, const File& file, const std::vector<OpLibrary>& libraries,
                    std::size_t signature, int threads)
      : api_(functions),
        file_(file),
        libraries_(libraries),
        signature_(signature),
        inputs_(file.inputs(signature)),
        outputs_(file.outputs(signature)) {
    set_options(threads);
    for (const OpLibrary& library : libraries) library.add(options_.get(), file.model(), litert, file.name());
    model_.reset(get<CompiledModel>(api_.create_compiled_model, file.environment(), file.model(), options_.get()));
    complaint_of(libraries_);  // while sizes are not known, nothing of it is an error
  }

  std::vector<dp::Tensor> run(const std::vector<dp::View>& inputs) {
    try {
      fill(inputs);
      if (!proven_) prove();
      invoke();
    } catch (const Failed& failed) {
      shapes_.clear();
      throw refusal(reason(failed.text()));
    }
    std::vector<dp::Tensor> results;
    results.reserve(outputs_.size());
    for (std::size_t i = 0; i < outputs_.size(); ++i) results.push_back(copy(i));
    return results;
  }

  const std::vector<Place>& inputs() const { return inputs_; }
  const std::vector<Place>& outputs() const { return outputs_; }

 private:
  using Handle = Owned<TensorBuffer>;

  /// All memory for inputs of some shapes.
  struct Fitted {
    std::map<std::uint32_t, Handle> owned;  ///< By the number of the tensor in the file.
    std::vector<TensorBuffer> inputs;
    std::vector<TensorBuffer> outputs;
    std::vector<Shape> output_shapes;
  };

  void set_options(int threads) {
    options_.reset(get<Options>(api_.create_options));
    check(api_.set_accelerators(options_.get(), kCpu));
    // Errors are kept for whoever asks instead of being printed.
    set("runtime_options_string", "enable_profiling = false\nerror_reporter_mode = 2");
    set("xnnpack", "num_threads = " + std::to_string(threads));
  }

  /// Adds settings as TOML, in memory that LiteRT frees.
  void set(const char* section, const std::string& text) {
    void* const copy = strdup(text.c_str());
    check(
        api_.add_opaque_options(options_.get(), get<OpaqueOptions>(api_.create_opaque_options, section, copy, &free)));
  }

  /// Copies the inputs to where the model reads them; memory is allocated anew only when a shape changes.
  void fill(const std::vector<dp::View>& inputs) {
    std::vector<Shape> shapes;
    shapes.reserve(inputs.size());
    for (const dp::View& input : inputs) shapes.push_back(input.shape);
    if (shapes != shapes_) {
      shapes_.clear();  // it stays so if they do not fit
      fit(shapes);
      shapes_ = shapes;
    }
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const std::size_t size = bytes_of(inputs_[i], inputs[i].shape);
      std::memcpy(memory_of(fitted_.inputs[i], size), inputs[i].data, size);
    }
  }

  void fit(const std::vector<Shape>& shapes) {
    resize(shapes);
    std::vector<Shape> sizes = output_shapes(true);
    if (const std::string complaint = complaint_of(libraries_); !complaint.empty()) throw refusal(complaint);
    fitted_ = allocate(shapes, std::move(sizes));  // what was before is freed only now: LiteRT may have looked at it
  }

  void resize(const std::vector<Shape>& shapes) {
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      if (shapes[i].size() != inputs_[i].type.layout.rank) {
        throw refusal("an input has another number of dimensions than in the model");
      }
      const std::vector<int> sizes(shapes[i].begin(), shapes[i].end());
      if (!sizes.empty()) check(api_.resize_input(model_.get(), signature_, i, sizes.data(), sizes.size()));
    }
  }

  /// The shapes of the outputs: as they are, or once memory is allocated.
  std::vector<Shape> output_shapes(bool allocate) const {
    std::vector<Layout> layouts(outputs_.size());
    check(api_.output_layouts(model_.get(), signature_, layouts.size(), layouts.data(), allocate));
    std::vector<Shape> shapes;
    shapes.reserve(layouts.size());
    for (const Layout& layout : layouts) {
      if (layout.rank > kMaxRank) throw refusal("an output has more than 8 dimensions");
      shapes.emplace_back(layout.dimensions.begin(), layout.dimensions.begin() + layout.rank);
    }
    return shapes;
  }

  Fitted allocate(const std::vector<Shape>& shapes, std::vector<Shape> sizes) const {
    Fitted fitted;
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      fitted.inputs.push_back(buffer(fitted, inputs_[i], shapes[i], api_.input_requirements, i));
    }
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
      fitted.outputs.push_back(buffer(fitted, outputs_[i], sizes[i], api_.output_requirements, i));
    }
    fitted.output_shapes = std::move(sizes);
    return fitted;
  }

  using Needs = Status (*)(CompiledModel model, std::size_t signature, std::size_t index, Requirements* needs);

  /// A tensor that is an input and an output, or two outputs, has one buffer: LiteRT would fill the last alone.
  TensorBuffer buffer(Fitted& fitted, const Place& place, const Shape& shape, Needs needs, std::size_t index) const {
    const auto known = fitted.owned.find(place.index);
    if (known != fitted.owned.end()) return known->second.get();
    TensorType type{};
    type.element = place.type.element;
    type.layout.rank = static_cast<std::uint32_t>(shape.size()) & 0x7fU;
    std::copy(shape.begin(), shape.end(), type.layout.dimensions.begin());
    const auto wanted = get<Requirements>(needs, model_.get(), signature_, index);
    Handle made(get<TensorBuffer>(api_.create_buffer, file_.environment(), &type, wanted), api_.destroy_buffer);
    return fitted.owned.emplace(place.index, std::move(made)).first->second.get();
  }

  static std::size_t bytes_of(const Place& place, const Shape& shape) {
    return static_cast<std::size_t>(dp::elements(shape)) * dp::size_of(place.dtype);
  }

  /// The memory of a buffer that holds at least `size` bytes.
  void* memory_of(TensorBuffer buffer, std::size_t size) const {
    try {
      if (get<std::size_t>(api_.buffer_size, buffer) >= size) return get<void*>(api_.buffer_memory, buffer);
    } catch (const Failed& failed) {
      throw refusal(failed.text());
    }
    throw refusal("it has less memory for a tensor than its shape needs");
  }

  /// Runs once more than is asked for, to see that the outputs arrive: LiteRT moves an output whose sizes depend on
  /// values to where nobody reads it, and says so in the second run.
  void prove() {
    invoke();
    if (output_shapes(false) != fitted_.output_shapes) {
      shapes_.clear();
      throw dp::Error(DP_UNSUPPORTED, "The sizes of an output depend on values, which LiteRT cannot give",
                      "Take another runtime.");
    }
    proven_ = true;
  }

  void invoke() {
    const Status status = api_.run(model_.get(), signature_, fitted_.inputs.size(), fitted_.inputs.data(),
                                   fitted_.outputs.size(), fitted_.outputs.data());
    const std::string complaint = complaint_of(libraries_);
    if (status == kOk && complaint.empty()) return;
    shapes_.clear();
    const std::string said = messages();  // asked for anyhow, which clears them
    throw refusal(complaint.empty() ? said : complaint);
  }

  std::string reason(const std::string& otherwise) const {
    std::string complaint = complaint_of(libraries_);
    const std::string said = messages();
    if (!complaint.empty()) return complaint;
    return said.empty() ? otherwise : said;
  }

  /// What LiteRT had to say since this was last asked for.
  std::string messages() const {
    char* text = nullptr;
    if (api_.error_messages(model_.get(), &text) != kOk || text == nullptr) return "";
    std::string line = dp::said(text);
    free(text);
    api_.clear_errors(model_.get());
    return line;
  }

  dp::Tensor copy(std::size_t index) const {
    dp::Tensor tensor = dp::allocate(outputs_[index].dtype, fitted_.output_shapes[index]);
    if (tensor.bytes.empty()) return tensor;
    std::memcpy(tensor.bytes.data(), memory_of(fitted_.outputs[index], tensor.bytes.size()), tensor.bytes.size());
    return tensor;
  }

  const Functions& api_;
  const File& file_;
  const std::vector<OpLibrary>& libraries_;
  std::size_t signature_;
  std::vector<Place> inputs_;
  std::vector<Place> outputs_;
  Owned<Options> options_{nullptr, api_.destroy_options};
  Owned<CompiledModel> model_{nullptr, api_.destroy_compiled_model};
  std::vector<Shape> shapes_;
  Fitted fitted_;
  bool proven_ = false;
};

}  // namespace litert
