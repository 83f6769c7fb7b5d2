// The C functions: each does one thing of the core, and turns what goes wrong into a dp_error.
#include <algorithm>
#include <cstring>
#include <exception>
#include <new>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <system_error>

#include "backends.h"
#include "error.h"
#include "model.h"
#include "processing.h"
#include "text.h"

struct dp_model {
  dp_model(const char* path, const dp::Options& options) : model(path, options) {}
  dp::Model model;
};

struct dp_results {
  explicit dp_results(std::vector<dp::Tensor> given) : tensors(std::move(given)) {
    for (const dp::Tensor& tensor : tensors) borrowed.push_back(dp::borrow(tensor));
  }
  std::vector<dp::Tensor> tensors;
  std::vector<dp_tensor> borrowed;
};

struct dp_verdict {
  bool passed;
  std::string json;
};

namespace {

using dp::Error;

template <std::size_t N>
void copy(char (&field)[N], const std::string& text) {
  const std::string safe = dp::printable(text, N - 1);
  std::memcpy(field, safe.c_str(), safe.size() + 1);
}

dp_status fill(dp_error* error, dp_status status, const std::string& message, const std::string& cure) {
  if (error == nullptr) return status;
  error->status = status;
  copy(error->message, message);
  copy(error->cure, cure);
  return status;
}

/// Says so without taking any.
dp_status out_of_memory(dp_error* error) noexcept {
  constexpr char kMessage[] = "There is not enough memory";
  constexpr char kCure[] = "Close other models, or take a smaller input.";
  if (error == nullptr) return DP_OUT_OF_MEMORY;
  error->status = DP_OUT_OF_MEMORY;
  std::memcpy(error->message, kMessage, sizeof kMessage);
  std::memcpy(error->cure, kCure, sizeof kCure);
  return DP_OUT_OF_MEMORY;
}

/// Runs a function, and puts what it throws into words.
template <class Function>
dp_status told(dp_error* error, Function&& function) {
  try {
    function();
    return fill(error, DP_OK, "", "");
  } catch (const Error& wrong) {
    return fill(error, wrong.status(), wrong.what(), wrong.cure());
  } catch (const std::bad_alloc&) {
    return out_of_memory(error);
  } catch (const std::length_error&) {
    return out_of_memory(error);
  } catch (const std::filesystem::filesystem_error& wrong) {
    return fill(error, DP_BAD_BUNDLE, wrong.path1().string() + " cannot be used: " + wrong.code().message(),
                "Look at its rights and at the room beside it, or get another copy of the bundle.");
  } catch (const std::exception& wrong) {
    return fill(error, DP_INTERNAL, wrong.what(), "");
  } catch (...) {
    return fill(error, DP_INTERNAL, "Something unknown went wrong", "");
  }
}

/// Runs a function; whatever it throws ends here, and so does a lack of memory for the words of it.
template <class Function>
dp_status guarded(dp_error* error, Function&& function) noexcept {
  try {
    return told(error, function);
  } catch (...) {
    return out_of_memory(error);
  }
}

template <class T>
void expect(T* argument, const char* name) {
  if (argument == nullptr) throw Error(DP_INVALID_ARGUMENT, std::string(name) + " is NULL", "Give one.");
}

std::filesystem::path path_or_empty(const char* text) { return text == nullptr ? "" : text; }

dp::Options options_of(const dp_options* given) {
  dp::Options options;
  if (given == nullptr) return options;
  if (given->size < sizeof given->size) {
    throw Error(DP_INVALID_ARGUMENT, "The size of the options is " + std::to_string(given->size),
                "Begin with DP_OPTIONS_INIT.");
  }
  dp_options known = DP_OPTIONS_INIT;  // an app that was built with an older header knows less of them
  std::memcpy(&known, given, std::min(given->size, sizeof known));
  if (known.threads < 0) throw Error(DP_INVALID_ARGUMENT, "The number of threads is negative", "Give 1 or more.");
  options.runtime_library = path_or_empty(known.runtime_library);
  options.backend_folder = path_or_empty(known.backend_folder);
  options.temporary_folder = path_or_empty(known.temporary_folder);
  if (known.max_bytes != 0) options.max_bytes = known.max_bytes;
  options.threads = std::max(known.threads, 1);
  options.without_op_libraries = known.without_op_libraries != 0;
  return options;
}

const dp::ImageInfo& image_info(const dp::Manifest& manifest, std::size_t input) {
  if (input >= manifest.inputs.size()) {
    throw Error(DP_INVALID_ARGUMENT, "There is no input " + std::to_string(input),
                "The model has " + std::to_string(manifest.inputs.size()) + ".");
  }
  const std::string& name = manifest.inputs[input].name;
  const auto found = manifest.images.find(name);
  if (found != manifest.images.end()) return found->second;
  throw Error(DP_INVALID_ARGUMENT, "The manifest does not say how an image becomes the input '" + name + "'",
              "Give the tensor itself to dp_run.");
}

dp::Tensor prepared(const dp_model* model, std::size_t input, const dp_image* image) {
  expect(model, "model");
  expect(image, "image");
  return dp::prepare_image(*image, image_info(model->model.manifest(), input));
}

const dp::ClassInfo& class_info(const dp::Manifest& manifest, std::size_t output) {
  const std::string& name = manifest.outputs[output].name;
  const auto found = manifest.classes.find(name);
  if (found != manifest.classes.end()) return found->second;
  throw Error(DP_INVALID_ARGUMENT, "The manifest does not say which classes the output '" + name + "' has",
              "Read the tensor itself.");
}

void write_classes(const dp_model& model, const dp_results& results, std::size_t output, std::int64_t row,
                   dp_class* classes, std::size_t* count) {
  const dp::Manifest& manifest = model.model.manifest();
  if (output >= manifest.outputs.size() || output >= results.borrowed.size()) {
    throw Error(DP_INVALID_ARGUMENT, "There is no output " + std::to_string(output),
                "The model has " + std::to_string(manifest.outputs.size()) + ".");
  }
  const dp::ClassInfo& info = class_info(manifest, output);
  const std::vector<dp::Class> found = dp::classes_of(results.borrowed[output], row, info);
  *count = std::min(*count, found.size());
  for (std::size_t i = 0; i < *count; ++i) {
    classes[i] = {info.labels[found[i].index].c_str(), found[i].probability};
  }
}

std::string backends_json() {
  nlohmann::json list = nlohmann::json::array();
  for (const std::string& name : dp::backend_names()) list.push_back({{"name", name}});
  return list.dump();
}

const dp_tensor_info* info_at(const std::vector<dp_tensor_info>& infos, std::size_t index) {
  return index < infos.size() ? &infos[index] : nullptr;
}

}  // namespace

const char* dp_version(void) { return DP_VERSION; }

size_t dp_dtype_size(dp_dtype dtype) { return dp::size_or_zero(dtype); }

const char* dp_backends(void) {
  try {
    static const std::string json = backends_json();
    return json.c_str();
  } catch (...) {
    return "[]";
  }
}

dp_status dp_open(const char* path, const dp_options* options, dp_model** model, dp_error* error) {
  if (model != nullptr) *model = nullptr;
  return guarded(error, [&] {
    expect(path, "path");
    expect(model, "model");
    *model = new dp_model(path, options_of(options));
  });
}

void dp_close(dp_model* model) { delete model; }

const char* dp_manifest(const dp_model* model) { return model == nullptr ? "" : model->model.manifest().text.c_str(); }

const char* dp_runtime_version(const dp_model* model) {
  return model == nullptr ? "" : model->model.runtime_version().c_str();
}

size_t dp_input_count(const dp_model* model) { return model == nullptr ? 0 : model->model.inputs().size(); }

size_t dp_output_count(const dp_model* model) { return model == nullptr ? 0 : model->model.outputs().size(); }

const dp_tensor_info* dp_input(const dp_model* model, size_t index) {
  return model == nullptr ? nullptr : info_at(model->model.inputs(), index);
}

const dp_tensor_info* dp_output(const dp_model* model, size_t index) {
  return model == nullptr ? nullptr : info_at(model->model.outputs(), index);
}

dp_status dp_run(dp_model* model, const dp_tensor* inputs, size_t count, dp_results** results, dp_error* error) {
  if (results != nullptr) *results = nullptr;
  return guarded(error, [&] {
    expect(model, "model");
    expect(inputs, "inputs");
    expect(results, "results");
    *results = new dp_results(model->model.run(inputs, count));
  });
}

dp_status dp_run_image(dp_model* model, const dp_image* image, dp_results** results, dp_error* error) {
  if (results != nullptr) *results = nullptr;
  return guarded(error, [&] {
    expect(results, "results");
    const dp::Tensor tensor = prepared(model, 0, image);
    const dp_tensor input = dp::borrow(tensor);
    *results = new dp_results(model->model.run(&input, 1));
  });
}

dp_status dp_prepare_image(const dp_model* model, size_t input, const dp_image* image, dp_results** tensor,
                           dp_error* error) {
  if (tensor != nullptr) *tensor = nullptr;
  return guarded(error, [&] {
    expect(tensor, "tensor");
    *tensor = new dp_results({prepared(model, input, image)});
  });
}

dp_status dp_classes(const dp_model* model, const dp_results* results, size_t output, int64_t row, dp_class* classes,
                     size_t* count, dp_error* error) {
  return guarded(error, [&] {
    expect(model, "model");
    expect(results, "results");
    expect(classes, "classes");
    expect(count, "count");
    write_classes(*model, *results, output, row, classes, count);
  });
}

size_t dp_results_count(const dp_results* results) { return results == nullptr ? 0 : results->borrowed.size(); }

const dp_tensor* dp_results_tensor(const dp_results* results, size_t index) {
  return index < dp_results_count(results) ? &results->borrowed[index] : nullptr;
}

void dp_results_free(dp_results* results) { delete results; }

size_t dp_golden_count(const dp_model* model) { return model == nullptr ? 0 : model->model.golden().count(); }

dp_status dp_golden_inputs(const dp_model* model, size_t number, dp_results** inputs, dp_error* error) {
  if (inputs != nullptr) *inputs = nullptr;
  return guarded(error, [&] {
    expect(model, "model");
    expect(inputs, "inputs");
    if (number >= dp_golden_count(model)) {
      throw Error(DP_INVALID_ARGUMENT, "There is no golden vector " + std::to_string(number),
                  "The bundle holds " + std::to_string(dp_golden_count(model)) + ".");
    }
    *inputs = new dp_results(model->model.golden().inputs(number));
  });
}

dp_status dp_verify(dp_model* model, dp_verdict** verdict, dp_error* error) {
  if (verdict != nullptr) *verdict = nullptr;
  return guarded(error, [&] {
    expect(model, "model");
    expect(verdict, "verdict");
    const std::vector<dp::Check> checks = model->model.verify();
    *verdict = new dp_verdict{dp::passed(checks), dp::to_json(checks)};
  });
}

int dp_verdict_passed(const dp_verdict* verdict) { return verdict != nullptr && verdict->passed ? 1 : 0; }

const char* dp_verdict_json(const dp_verdict* verdict) { return verdict == nullptr ? "" : verdict->json.c_str(); }

void dp_verdict_free(dp_verdict* verdict) { delete verdict; }
