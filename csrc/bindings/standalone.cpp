#include "bindings/standalone.h"

#include <algorithm>
#include <array>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "op.h"
#include "op/infer.h"

namespace {

using op::Op;
using Buffers = std::array<op::Buffer, op::kMaxTensors>;
using Shapes = std::array<op::Shape<std::int64_t>, op::kMaxTensors>;

/// Splits the range into one piece per thread, of whole grains.
void run_in_threads(void* threads, std::int64_t count, std::int64_t grain, op::Parallel::Body body, const void* data) {
  const std::int64_t most = *static_cast<const int*>(threads);
  const std::int64_t grains = (count + grain - 1) / grain;
  const std::int64_t piece = (grains + most - 1) / most * grain;
  std::vector<std::thread> helpers;
  for (std::int64_t from = piece; from < count; from += piece) {
    helpers.emplace_back(body, data, from, std::min(count, from + piece));
  }
  body(data, 0, std::min(count, piece));
  for (std::thread& helper : helpers) helper.join();
}

const Op* find(const char* name) {
  for (const Op& op : op::ops) {
    if (op.name == name) return &op;
  }
  return nullptr;
}

op::Shape<std::int64_t> shape_of(const DeploypipeTensor& tensor) {
  op::Shape<std::int64_t> shape;
  for (std::int64_t i = 0; i < tensor.rank; ++i) shape.push(tensor.shape[i]);
  return shape;
}

op::Buffer buffer(const DeploypipeTensor& tensor) {
  return {tensor.data, {tensor.shape, static_cast<std::size_t>(tensor.rank)}};
}

bool equal(const op::Shape<std::int64_t>& a, const op::Shape<std::int64_t>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

/// One call: an op with its attributes and the shapes of its outputs. `error` is empty where all fits.
struct Call {
  const Op* op = nullptr;
  std::array<op::Scalar, op::kMaxAttributes> attributes;
  Shapes outputs;
  std::string error;

  Call(const char* name, const DeploypipeTensor* inputs, const double* values) : op(find(name)) {
    if (op == nullptr) {
      error = std::string("there is no op ") + name;
      return;
    }
    for (std::size_t i = 0; i < static_cast<std::size_t>(op->attributes.size()); ++i) {
      attributes.at(i) = {values[i], static_cast<std::int64_t>(values[i])};
    }
    Shapes given;
    for (int i = 0; i < op->inputs.size(); ++i) given.at(static_cast<std::size_t>(i)) = shape_of(inputs[i]);
    error = op::Inference<op::Exact>(*op, attributes.data()).run(given.data(), outputs.data());
  }

  void check(const DeploypipeTensor* given) {
    for (int i = 0; error.empty() && i < op->outputs.size(); ++i) {
      if (equal(shape_of(given[i]), outputs.at(static_cast<std::size_t>(i)))) continue;
      error =
          std::string(op->name) + ": " + std::string(op->outputs[i].name) + " is of another shape than the op gives";
    }
  }

  void run(const DeploypipeTensor* inputs, const DeploypipeTensor* results, int threads, std::int64_t repeats) const {
    Buffers in;
    Buffers out;
    std::transform(inputs, inputs + op->inputs.size(), in.begin(), buffer);
    std::transform(results, results + op->outputs.size(), out.begin(), buffer);
    const op::Parallel parallel = threads > 1 ? op::Parallel(run_in_threads, &threads) : op::Parallel();
    for (std::int64_t i = 0; i < repeats; ++i) op->compute(in.data(), attributes.data(), out.data(), parallel);
  }
};

/// Keeps an error for the caller; nullptr where there is none.
const char* kept(std::string message) {
  static thread_local std::string error;
  error = std::move(message);
  return error.empty() ? nullptr : error.c_str();
}

}  // namespace

extern "C" const char* deploypipe_run(const char* name, const DeploypipeTensor* inputs, const double* attributes,
                                      const DeploypipeTensor* outputs, int threads, std::int64_t repeats) {
  Call call(name, inputs, attributes);
  call.check(outputs);
  if (call.error.empty()) call.run(inputs, outputs, threads, repeats);
  return kept(std::move(call.error));
}

extern "C" const char* deploypipe_infer(const char* name, const DeploypipeTensor* inputs, const double* attributes,
                                        std::int64_t* sizes, std::int64_t* ranks) {
  Call call(name, inputs, attributes);
  for (int i = 0; call.error.empty() && i < call.op->outputs.size(); ++i) {
    const op::Shape<std::int64_t>& shape = call.outputs.at(static_cast<std::size_t>(i));
    ranks[i] = shape.size();
    std::copy(shape.begin(), shape.end(), sizes + std::ptrdiff_t{i} * op::kMaxRank);
  }
  return kept(std::move(call.error));
}

extern "C" std::int64_t deploypipe_inputs(const char* name) {
  const Op* op = find(name);
  return op == nullptr ? -1 : op->inputs.size();
}
