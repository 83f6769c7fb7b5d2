/* deploypipe.hpp: the C API for C++17, with owners and exceptions. Header only.
 *
 *   deploypipe::Model model("bundle");
 *   if (!model.verify().passed()) return 1;
 *   deploypipe::Results outputs = model.run({deploypipe::tensor(values.data(), {1, 1, 8, 8})});
 */
#ifndef DEPLOYPIPE_HPP
#define DEPLOYPIPE_HPP

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "deploypipe/deploypipe.h"

namespace deploypipe {

/// What a C function would have written into its dp_error.
class Error : public std::runtime_error {
 public:
  explicit Error(const dp_error& error) : std::runtime_error(error.message), status_(error.status), cure_(error.cure) {}

  dp_status status() const { return status_; }
  const std::string& cure() const { return cure_; }

 private:
  dp_status status_;
  std::string cure_;
};

namespace detail {

/// Calls a C function with a dp_error behind its arguments; throws what it says.
template <class Function, class... Arguments>
void call(Function function, Arguments... arguments) {
  dp_error error;
  if (function(arguments..., &error) != DP_OK) throw Error(error);
}

template <class T>
struct DtypeOf;
template <>
struct DtypeOf<float> {
  static constexpr dp_dtype value = DP_FLOAT32;
};
template <>
struct DtypeOf<double> {
  static constexpr dp_dtype value = DP_FLOAT64;
};
template <>
struct DtypeOf<std::int8_t> {
  static constexpr dp_dtype value = DP_INT8;
};
template <>
struct DtypeOf<std::uint8_t> {
  static constexpr dp_dtype value = DP_UINT8;
};
template <>
struct DtypeOf<std::int32_t> {
  static constexpr dp_dtype value = DP_INT32;
};
template <>
struct DtypeOf<std::int64_t> {
  static constexpr dp_dtype value = DP_INT64;
};
template <>
struct DtypeOf<bool> {
  static constexpr dp_dtype value = DP_BOOL;
};

}  // namespace detail

/// A tensor over memory that the caller keeps; of more than DP_MAX_RANK sizes the rest is refused by `run`.
template <class T>
dp_tensor tensor(const T* data, std::initializer_list<std::int64_t> shape) {
  dp_tensor result{detail::DtypeOf<T>::value, static_cast<std::int32_t>(shape.size()), {}, data};
  std::copy_n(shape.begin(), std::min<std::size_t>(shape.size(), DP_MAX_RANK), result.shape);
  return result;
}

/// Tensors that the library has made.
class Results {
 public:
  explicit Results(dp_results* results) : results_(results, dp_results_free) {}

  std::size_t size() const { return dp_results_count(results_.get()); }

  /// Throws std::out_of_range where there is no such tensor.
  const dp_tensor& operator[](std::size_t index) const {
    if (index >= size()) throw std::out_of_range("There is no tensor of that number");
    return *dp_results_tensor(results_.get(), index);
  }

  /// The elements of one tensor; throws std::invalid_argument where they are of another type.
  template <class T>
  const T* data(std::size_t index) const {
    if ((*this)[index].dtype != detail::DtypeOf<T>::value) throw std::invalid_argument("The tensor has another dtype");
    return static_cast<const T*>((*this)[index].data);
  }

  /// All tensors, to be given to Model::run.
  std::vector<dp_tensor> tensors() const {
    std::vector<dp_tensor> all;
    for (std::size_t i = 0; i < size(); ++i) all.push_back((*this)[i]);
    return all;
  }

  const dp_results* get() const { return results_.get(); }

 private:
  std::unique_ptr<dp_results, void (*)(dp_results*)> results_;
};

/// What the golden vectors showed.
class Verdict {
 public:
  explicit Verdict(dp_verdict* verdict) : verdict_(verdict, dp_verdict_free) {}

  bool passed() const { return dp_verdict_passed(verdict_.get()) != 0; }
  std::string json() const { return dp_verdict_json(verdict_.get()); }

 private:
  std::unique_ptr<dp_verdict, void (*)(dp_verdict*)> verdict_;
};

/// A bundle that is loaded; its functions throw Error.
class Model {
 public:
  explicit Model(const std::string& path, const dp_options& options = DP_OPTIONS_INIT)
      : model_(open(path, options), dp_close) {}

  std::string manifest() const { return dp_manifest(get()); }
  std::string runtime_version() const { return dp_runtime_version(get()); }
  std::vector<dp_tensor_info> inputs() const { return infos(dp_input_count(get()), dp_input); }
  std::vector<dp_tensor_info> outputs() const { return infos(dp_output_count(get()), dp_output); }

  Verdict verify() {
    dp_verdict* verdict = nullptr;
    detail::call(dp_verify, get(), &verdict);
    return Verdict(verdict);
  }

  Results run(const std::vector<dp_tensor>& inputs) {
    dp_results* results = nullptr;
    detail::call(dp_run, get(), inputs.data(), inputs.size(), &results);
    return Results(results);
  }

  Results run(const dp_image& image) {
    dp_results* results = nullptr;
    detail::call(dp_run_image, get(), &image, &results);
    return Results(results);
  }

  Results prepare(const dp_image& image, std::size_t input = 0) const {
    dp_results* tensor = nullptr;
    detail::call(dp_prepare_image, get(), input, &image, &tensor);
    return Results(tensor);
  }

  std::size_t golden_count() const { return dp_golden_count(get()); }

  Results golden_inputs(std::size_t number) const {
    dp_results* inputs = nullptr;
    detail::call(dp_golden_inputs, get(), number, &inputs);
    return Results(inputs);
  }

  /// The most probable classes of a row of an output, at most so many.
  std::vector<dp_class> classes(const Results& results, std::size_t most, std::size_t output = 0,
                                std::int64_t row = 0) const {
    std::vector<dp_class> found(std::max<std::size_t>(most, 1));
    std::size_t count = most;
    detail::call(dp_classes, get(), results.get(), output, row, found.data(), &count);
    found.resize(count);
    return found;
  }

  dp_model* get() const { return model_.get(); }

 private:
  static dp_model* open(const std::string& path, const dp_options& options) {
    dp_model* model = nullptr;
    detail::call(dp_open, path.c_str(), &options, &model);
    return model;
  }

  std::vector<dp_tensor_info> infos(std::size_t count,
                                    const dp_tensor_info* (*info)(const dp_model*, std::size_t)) const {
    std::vector<dp_tensor_info> all;
    for (std::size_t i = 0; i < count; ++i) all.push_back(*info(get(), i));
    return all;
  }

  std::unique_ptr<dp_model, void (*)(dp_model*)> model_;
};

}  // namespace deploypipe

#endif  // DEPLOYPIPE_HPP
