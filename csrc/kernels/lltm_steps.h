// The steps of the recurrent cell, which the forward and the backward pass share.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>

#include "kernels/matrix.h"
#include "op.h"

namespace op::lltm {

/// Memory without values.
class Scratch {
 public:
  explicit Scratch(std::int64_t size)
      : data_(std::make_unique_for_overwrite<float[]>(static_cast<std::size_t>(size))) {}
  float* get() const { return data_.get(); }

 private:
  std::unique_ptr<float[]> data_;
};

/// Sizes of a call, and how much work one row is for the thread pool.
struct Sizes {
  std::int64_t steps = 0;
  std::int64_t batch = 0;
  std::int64_t inputs = 0;
  std::int64_t hidden = 0;
  std::int64_t gates = 3 * hidden;
  std::int64_t columns = hidden + inputs;
  std::int64_t grain = std::max<std::int64_t>(1, 200000 / std::max<std::int64_t>(1, gates* columns));
};

/// The two parts of the weight as right factors: [H, 3H] for the state, [I, 3H] for the input.
struct Packed {
  matrix::Panels state;
  matrix::Panels input;

  Packed(const Sizes& size, const float* weight)
      : state(size.hidden, size.gates, {weight, 1, size.columns}),
        input(size.inputs, size.gates, {weight + size.hidden, 1, size.columns}) {}
};

/// Where the states of a run of steps go; a step of 0 keeps only the last one.
struct States {
  float* h;
  float* c;
  std::int64_t h_step;
  std::int64_t c_step;
};

/// The part of the gates that does not depend on the state, for many steps at once.
void project(const Sizes& size, std::int64_t rows, const float* input, const matrix::Panels& weight, const float* bias,
             float* gates, const Parallel& parallel);

/// Runs steps for the whole batch; `gates` holds the projected input and ends as activated gates.
void recur(const Sizes& size, std::int64_t steps, const matrix::Panels& weight, const float* h0, const float* c0,
           float* gates, const States& to, const Parallel& parallel);

}  // namespace op::lltm
