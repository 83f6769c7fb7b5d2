// Runs every op of the project over awkward sizes on buffers of exactly the right size, for the sanitizers to
// watch, and checks the logarithm of cws against the library's.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <map>
#include <string_view>
#include <vector>

#include "kernels/log.h"
#include "op.h"
#include "op/infer.h"

namespace {

using Sizes = std::map<std::string_view, std::int64_t>;

std::int64_t extent(const op::Op& op, const op::Dimension& dimension, const Sizes& sizes) {
  std::vector<std::int64_t> stack;
  for (const op::Term& term : op.formula(dimension)) {
    if (term.kind == op::Term::kNumber)
      stack.push_back(term.value);
    else if (term.kind == op::Term::kSymbol)
      stack.push_back(sizes.at(op.symbols[term.value]));
    else {
      const std::int64_t right = stack.back();
      stack.pop_back();
      stack.back() = term.kind == op::Term::kAdd ? stack.back() + right : stack.back() * right;
    }
  }
  return stack.back();
}

op::Shape<std::int64_t> shape_of(const op::Op& op, const op::Tensor& tensor, const Sizes& sizes) {
  op::Shape<std::int64_t> shape;
  if (tensor.spread >= 0) shape.push(sizes.at("..."));
  for (const op::Dimension& dimension : op.dims(tensor)) shape.push(extent(op, dimension, sizes));
  return shape;
}

/// Memory of one tensor, with nothing to spare.
struct Block {
  std::vector<char> bytes;
  std::vector<std::int64_t> extents;

  Block(op::Type type, const op::Shape<std::int64_t>& shape) : extents(shape.begin(), shape.end()) {
    std::size_t count = 1;
    for (const std::int64_t size : extents) count *= static_cast<std::size_t>(size);
    bytes.resize(count * (type == op::Type::kInt64 ? sizeof(std::int64_t) : sizeof(float)));
  }
  op::Buffer buffer() { return {bytes.data(), extents}; }
};

void fill(Block& block, unsigned seed) {
  auto* values = reinterpret_cast<float*>(block.bytes.data());
  for (std::size_t i = 0; i < block.bytes.size() / sizeof(float); ++i) {
    seed = seed * 1664525U + 1013904223U;
    values[i] = static_cast<float>(seed >> 8) / static_cast<float>(1U << 24) - (seed % 3 == 0 ? 0.0f : 0.1f);
    if (values[i] < 0.0f) values[i] = 0.0f;
  }
}

/// A pool that runs many pieces, as small as allowed.
void pieces(void*, std::int64_t count, std::int64_t grain, op::Parallel::Body body, const void* data) {
  for (std::int64_t from = 0; from < count; from += grain) body(data, from, std::min(count, from + grain));
}

void run(const op::Op& op, const Sizes& sizes, float spoiled) {
  std::vector<Block> blocks;
  for (const op::Tensor& tensor : op.inputs) blocks.emplace_back(tensor.type, shape_of(op, tensor, sizes));
  std::vector<op::Shape<std::int64_t>> shapes;
  std::vector<op::Buffer> inputs;
  for (Block& block : blocks) {
    fill(block, static_cast<unsigned>(inputs.size()));
    op::Shape<std::int64_t> shape;
    for (const std::int64_t size : block.extents) shape.push(size);
    shapes.push_back(shape);
    inputs.push_back(block.buffer());
  }
  if (!blocks[0].bytes.empty()) std::memcpy(blocks[0].bytes.data(), &spoiled, sizeof(spoiled));
  std::vector<op::Shape<std::int64_t>> results(static_cast<std::size_t>(op.outputs.size()));
  const std::string error = op::Inference<op::Exact>(op, nullptr).run(shapes.data(), results.data());
  if (!error.empty()) std::printf("%s\n", error.c_str()), std::exit(1);
  std::vector<Block> made;
  for (int i = 0; i < op.outputs.size(); ++i)
    made.emplace_back(op.outputs[i].type, results[static_cast<std::size_t>(i)]);
  std::vector<op::Buffer> outputs;
  for (Block& block : made) outputs.push_back(block.buffer());
  op.compute(inputs.data(), nullptr, outputs.data(), op::Parallel(pieces, nullptr));
}

void check_log() {
  for (std::uint32_t bits = 1; bits < 0x7f800000U; bits += 9973U) {
    float value = 0;
    std::memcpy(&value, &bits, sizeof(value));
    const double exact = std::log(static_cast<double>(value));
    const float rounded = op::exact_log(value);
    const float least = std::nextafter(static_cast<float>(exact), -std::numeric_limits<float>::infinity());
    const float most = std::nextafter(static_cast<float>(exact), std::numeric_limits<float>::infinity());
    const bool near_tie = rounded >= least && rounded <= most;
    if (!near_tie || std::abs(rounded - exact) > 0.5000001 * (most - static_cast<float>(exact))) {
      std::printf("log(%a) = %a, not %a\n", value, rounded, exact), std::exit(1);
    }
  }
}

}  // namespace

int main() {
  const std::vector<Sizes> cases = {
      {{"T", 1}, {"B", 1}, {"I", 1}, {"H", 1}, {"D", 1}, {"k", 1}, {"...", 1}},
      {{"T", 3}, {"B", 5}, {"I", 7}, {"H", 9}, {"D", 37}, {"k", 11}, {"...", 17}},
      {{"T", 70}, {"B", 4}, {"I", 5}, {"H", 16}, {"D", 16}, {"k", 70}, {"...", 70000}},
      {{"T", 2}, {"B", 70}, {"I", 33}, {"H", 17}, {"D", 3}, {"k", 2}, {"...", 2}},
      {{"T", 0}, {"B", 2}, {"I", 3}, {"H", 4}, {"D", 0}, {"k", 3}, {"...", 0}},
      {{"T", 2}, {"B", 0}, {"I", 3}, {"H", 4}, {"D", 5}, {"k", 0}, {"...", 0}},
      {{"T", 2}, {"B", 3}, {"I", 0}, {"H", 0}, {"D", 5}, {"k", 2}, {"...", 3}},
  };
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const op::Op& op : op::ops) {
    for (const Sizes& sizes : cases) {
      for (const float spoiled : {0.5f, 1e-45f, -1.0f, kInfinity, -kInfinity, std::nanf("")}) run(op, sizes, spoiled);
    }
  }
  check_log();
  std::puts("clean");
}
