// Runs every op of the project on every instruction set of this processor, over awkward sizes, on buffers of exactly
// the right size that begin at odd places, for the sanitizers to watch.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <map>
#include <string_view>
#include <vector>

#include "bindings/standalone.h"
#include "op.h"
#include "op/infer.h"
#include "simd/isa.h"

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

using Sizes = std::map<std::string_view, std::int64_t>;

/// One way to run the ops.
struct Case {
  Sizes sizes;
  std::int64_t shift;  // elements between the start of an allocation and that of a tensor
  float low;           // the numbers are between this and 1
  float spoiled;       // the first number of each input
};

void stop(std::string_view what) {
  std::printf("%.*s\n", static_cast<int>(what.size()), what.data());
  std::exit(1);
}

std::int64_t apply(op::Term::Kind kind, std::int64_t left, std::int64_t right) {
  switch (kind) {
    case op::Term::kAdd:
      return left + right;
    case op::Term::kSubtract:
      return left - right;
    case op::Term::kMultiply:
      return left * right;
    default:
      return left / right;
  }
}

std::int64_t extent(const op::Op& op, const op::Dimension& dimension, const Sizes& sizes) {
  std::vector<std::int64_t> stack;
  for (const op::Term& term : op.formula(dimension)) {
    if (term.kind == op::Term::kNumber) {
      stack.push_back(term.value);
    } else if (term.kind == op::Term::kSymbol) {
      stack.push_back(sizes.at(op.symbols[term.value]));
    } else if (term.kind == op::Term::kAttribute) {
      stack.push_back(sizes.at(op.attributes[term.value].name));
    } else {
      const std::int64_t right = stack.back();
      stack.pop_back();
      stack.back() = apply(term.kind, stack.back(), right);
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

std::size_t width(op::Type type) {
  switch (type) {
    case op::Type::kFloat64:
    case op::Type::kInt64:
      return 8;
    case op::Type::kFloat32:
    case op::Type::kInt32:
      return 4;
    default:
      return 1;
  }
}

/// Memory of one tensor, which ends where the allocation does.
class Block {
 public:
  Block(op::Type type, const op::Shape<std::int64_t>& shape, std::int64_t shift)
      : type_(type), extents_(shape.begin(), shape.end()) {
    std::size_t count = 1;
    for (const std::int64_t size : extents_) count *= static_cast<std::size_t>(size);
    start_ = static_cast<std::size_t>(shift) * width(type);
    bytes_.resize(start_ + count * width(type));
    bytes_.shrink_to_fit();
  }

  op::Buffer buffer() { return {bytes_.data() + start_, extents_}; }

  void fill(unsigned seed, const Case& how) {
    std::size_t at = 0;
    for (char* to = bytes_.data() + start_; to != bytes_.data() + bytes_.size(); to += width(type_), ++at) {
      seed = seed * 1664525U + 1013904223U;
      put(to, seed >> 8, how, at == 0);
    }
  }

 private:
  void put(char* to, unsigned random, const Case& how, bool first) const {
    if (type_ == op::Type::kFloat32) {
      const float number = how.low + (1 - how.low) * (static_cast<float>(random) / static_cast<float>(1U << 24));
      const float value = first ? how.spoiled : random % 4 == 0 ? 0.0f : number;
      std::memcpy(to, &value, sizeof(value));
    } else if (type_ == op::Type::kInt32) {
      const std::int32_t value = static_cast<std::int32_t>(random % 20001) - 10000;
      std::memcpy(to, &value, sizeof(value));
    } else {
      for (std::size_t i = 0; i < width(type_); ++i) to[i] = static_cast<char>(random >> (8 * (i % 3)));
    }
  }

  op::Type type_;
  std::vector<std::int64_t> extents_;
  std::size_t start_ = 0;
  std::vector<char> bytes_;
};

/// A pool that runs many pieces, as small as allowed.
void pieces(void*, std::int64_t count, std::int64_t grain, op::Parallel::Body body, const void* data) {
  for (std::int64_t from = 0; from < count; from += grain) body(data, from, std::min(count, from + grain));
}

std::vector<op::Buffer> buffers(std::vector<Block>& blocks) {
  std::vector<op::Buffer> all;
  for (Block& block : blocks) all.push_back(block.buffer());
  return all;
}

void run(const op::Op& op, const Case& how) {
  std::vector<op::Scalar> attributes;
  for (const op::Attribute& each : op.attributes) {
    attributes.push_back({static_cast<double>(how.sizes.at(each.name)), how.sizes.at(each.name)});
  }
  std::vector<Block> given;
  std::vector<op::Shape<std::int64_t>> shapes;
  for (const op::Tensor& tensor : op.inputs) {
    shapes.push_back(shape_of(op, tensor, how.sizes));
    given.emplace_back(tensor.type, shapes.back(), how.shift);
    given.back().fill(static_cast<unsigned>(given.size()), how);
  }
  std::vector<op::Shape<std::int64_t>> results(static_cast<std::size_t>(op.outputs.size()));
  const std::string error = op::Inference<op::Exact>(op, attributes.data()).run(shapes.data(), results.data());
  if (!error.empty()) stop(error);
  std::vector<Block> made;
  for (std::size_t i = 0; i < results.size(); ++i) {
    made.emplace_back(op.outputs[static_cast<int>(i)].type, results[i], how.shift);
  }
  op.compute(buffers(given).data(), attributes.data(), buffers(made).data(), op::Parallel(pieces, nullptr));
}

void run_all(const Sizes& sizes) {
  for (const op::Op& op : op::ops) {
    for (const float spoiled : {0.5f, 1e-45f, -1.0f, kInfinity, -kInfinity, std::nanf("")}) {
      for (const std::int64_t shift : {0, 1}) {
        for (const float low : {0.0f, -1.0f}) run(op, {sizes, shift, low, spoiled});
      }
    }
  }
}

}  // namespace

int main() {
  const std::vector<Sizes> cases = {
      {{"T", 1}, {"B", 1}, {"I", 1}, {"H", 1}, {"D", 1}, {"k", 1}, {"hashes", 1}, {"...", 1}},
      {{"T", 3}, {"B", 5}, {"I", 7}, {"H", 9}, {"D", 37}, {"k", 11}, {"hashes", 11}, {"...", 17}},
      {{"T", 70}, {"B", 4}, {"I", 5}, {"H", 16}, {"D", 16}, {"k", 70}, {"hashes", 70}, {"...", 7000}},
      {{"T", 2}, {"B", 70}, {"I", 33}, {"H", 17}, {"D", 3}, {"k", 2}, {"hashes", 33}, {"...", 2}},
      {{"T", 2}, {"B", 9}, {"I", 31}, {"H", 47}, {"D", 65}, {"k", 47}, {"hashes", 48}, {"...", 31}},
      {{"T", 1}, {"B", 1}, {"I", 65}, {"H", 97}, {"D", 203}, {"k", 95}, {"hashes", 95}, {"...", 33}},
      {{"T", 1}, {"B", 35}, {"I", 4}, {"H", 32}, {"D", 203}, {"k", 95}, {"hashes", 95}, {"...", 33}},
      {{"T", 0}, {"B", 2}, {"I", 3}, {"H", 4}, {"D", 0}, {"k", 3}, {"hashes", 3}, {"...", 0}},
      {{"T", 2}, {"B", 0}, {"I", 3}, {"H", 4}, {"D", 5}, {"k", 0}, {"hashes", 0}, {"...", 0}},
      {{"T", 2}, {"B", 3}, {"I", 0}, {"H", 0}, {"D", 5}, {"k", 2}, {"hashes", 17}, {"...", 3}},
  };
  for (const char* name : op::simd::kNames) {
    if (deploypipe_set_isa(name) != 0) continue;
    for (const Sizes& sizes : cases) run_all(sizes);
    std::printf("%s ", name);
  }
  std::puts("clean");
}
