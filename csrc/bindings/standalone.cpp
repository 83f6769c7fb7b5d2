#include "bindings/standalone.h"

#include <algorithm>
#include <array>
#include <string>
#include <thread>
#include <vector>

#include "op.h"
#include "op/infer.h"

namespace {

using op::Op;
using Buffers = std::array<op::Buffer, op::kMaxTensors>;
using Shapes = std::array<op::Shape<std::int64_t>, op::kMaxTensors>;

/// Splits the range into one piece per thread.
void run_in_threads(void* threads, std::int64_t count, std::int64_t grain, op::Parallel::Body body, const void* data) {
  const std::int64_t most = std::min<std::int64_t>(*static_cast<const int*>(threads), (count + grain - 1) / grain);
  const std::int64_t piece = (count + most - 1) / most;
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

/// Returns an empty text where the outputs have the shapes that the inputs ask for.
std::string check(const Op& op, const DeploypipeTensor* inputs, const op::Scalar* attributes,
                  const DeploypipeTensor* outputs) {
  Shapes given;
  Shapes expected;
  for (int i = 0; i < op.inputs.size(); ++i) given.at(static_cast<std::size_t>(i)) = shape_of(inputs[i]);
  std::string error = op::Inference<op::Exact>(op, attributes).run(given.data(), expected.data());
  for (int i = 0; i < op.outputs.size() && error.empty(); ++i) {
    if (!equal(shape_of(outputs[i]), expected.at(static_cast<std::size_t>(i)))) {
      error = std::string(op.name) + ": " + std::string(op.outputs[i].name) + " is of another shape than the op gives";
    }
  }
  return error;
}

std::string run(const char* name, const DeploypipeTensor* inputs, const double* attributes,
                const DeploypipeTensor* outputs, int threads, std::int64_t repeats) {
  const Op* op = find(name);
  if (op == nullptr) return std::string("there is no op ") + name;
  std::array<op::Scalar, op::kMaxAttributes> values;
  for (std::size_t i = 0; i < static_cast<std::size_t>(op->attributes.size()); ++i) {
    values.at(i) = {attributes[i], static_cast<std::int64_t>(attributes[i])};
  }
  if (std::string error = check(*op, inputs, values.data(), outputs); !error.empty()) return error;
  Buffers in;
  Buffers out;
  std::transform(inputs, inputs + op->inputs.size(), in.begin(), buffer);
  std::transform(outputs, outputs + op->outputs.size(), out.begin(), buffer);
  const op::Parallel parallel = threads > 1 ? op::Parallel(run_in_threads, &threads) : op::Parallel();
  for (std::int64_t i = 0; i < repeats; ++i) op->compute(in.data(), values.data(), out.data(), parallel);
  return "";
}

}  // namespace

extern "C" const char* deploypipe_run(const char* name, const DeploypipeTensor* inputs, const double* attributes,
                                      const DeploypipeTensor* outputs, int threads, std::int64_t repeats) {
  static thread_local std::string error;
  error = run(name, inputs, attributes, outputs, threads, repeats);
  return error.empty() ? nullptr : error.c_str();
}

extern "C" std::int64_t deploypipe_inputs(const char* name) {
  const Op* op = find(name);
  return op == nullptr ? -1 : op->inputs.size();
}
