#include "kernels/lltm_int8.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "kernels/lltm_int8_simd.h"

namespace op {
namespace {

constexpr std::int64_t kUnits = 16;  // hidden units of a panel
constexpr std::int64_t kGates = 48;  // its gates

/// Memory without values, on a boundary of vectors.
template <class T>
class Scratch {
 public:
  explicit Scratch(std::int64_t size)
      : memory_(::operator new(std::max<std::size_t>(1, static_cast<std::size_t>(size) * sizeof(T)), kBoundary)) {}
  T* get() const { return static_cast<T*>(memory_.get()); }

 private:
  static constexpr std::align_val_t kBoundary{64};
  struct Free {
    void operator()(void* memory) const { ::operator delete(memory, kBoundary); }
  };
  std::unique_ptr<void, Free> memory_;
};

struct Sizes {
  std::int64_t steps, batch, inputs, hidden;
  std::int64_t panels = (hidden + kUnits - 1) / kUnits;
  std::int64_t state_groups = (hidden + 3) / 4;
  std::int64_t input_groups = (inputs + 3) / 4;
  std::int64_t panel_bytes = (state_groups + input_groups) * 4 * kGates;
};

struct Weight {
  simd::Int8Columns state;
  simd::Int8Columns input;

  Weight(const Sizes& size, const std::int8_t* weight, const std::int32_t* sums, const float* scales)
      : state{size.state_groups, size.panels, size.panel_bytes, weight, sums, scales},
        input{size.input_groups, size.panels,    size.panel_bytes, weight + size.state_groups * 4 * kGates,
              sums + kGates,     scales + kGates} {}
};

struct Tensors {
  Sizes size;
  Weight weight;
  const float* input;
  const float* h0;
  const float* c0;
  float* output;
  float* h;
  float* c;
};

/// Runs the sequence for some rows of the batch, which need nothing of the others.
class Sequence {
 public:
  Sequence(const Tensors& tensors, std::int64_t first, std::int64_t rows)
      : tensors_(tensors),
        size_(tensors.size),
        first_(first),
        rows_(rows),
        // As many steps at a time as give the projection full tiles, and keep what it makes in the cache.
        block_(std::clamp<std::int64_t>(64 / rows, 1, std::max<std::int64_t>(1, size_.steps))),
        state_(rows * stride() * 2),
        input_(block_ * rows * input_stride()),
        input_scales_(block_ * rows),
        projected_(block_ * rows * size_.panels * kGates),
        cells_(rows * stride()),
        lost_(std::make_unique<bool[]>(static_cast<std::size_t>(rows))) {}

  void run() {
    begin();
    for (std::int64_t step = 0; step < size_.steps; step += block_) {
      const std::int64_t steps = std::min(block_, size_.steps - step);
      project(step, steps);
      for (std::int64_t i = 0; i < steps; ++i) recur(step + i, i, steps);
    }
    end();
  }

 private:
  const float* rows_of(const float* state) const { return state + first_ * size_.hidden; }
  std::int64_t stride() const { return size_.panels * kUnits; }
  std::int64_t input_stride() const {
    return std::max<std::int64_t>(kUnits, (size_.inputs + kUnits - 1) / kUnits * kUnits);
  }
  std::uint8_t* state(std::int64_t step) const { return state_.get() + (step % 2) * rows_ * stride(); }

  void begin() {
    kernels_.quantize_state(size_.hidden, rows_of(tensors_.h0), {rows_, stride(), state(0)});
    for (std::int64_t row = 0; row < rows_; ++row) {
      const float* h = rows_of(tensors_.h0) + row * size_.hidden;
      const float* c = rows_of(tensors_.c0) + row * size_.hidden;
      for (std::int64_t j = 0; j < stride(); ++j) {
        cells_.get()[(j / kUnits * rows_ + row) * kUnits + j % kUnits] = j < size_.hidden ? c[j] : 0.0f;
        if (j < size_.hidden && (std::isnan(h[j]) || std::isnan(c[j]))) lost_[static_cast<std::size_t>(row)] = true;
      }
    }
  }

  void project(std::int64_t step, std::int64_t steps) {
    for (std::int64_t i = 0; i < steps; ++i) {
      const float* x = tensors_.input + ((step + i) * size_.batch + first_) * size_.inputs;
      kernels_.quantize_input(size_.inputs, x, {rows_, input_stride(), input_.get() + i * rows_ * input_stride()},
                              input_scales_.get() + i * rows_);
    }
    kernels_.project(tensors_.weight.input, {steps * rows_, input_stride(), input_.get()}, input_scales_.get(),
                     projected_.get());
  }

  void recur(std::int64_t step, std::int64_t at, std::int64_t steps) {
    float* h = tensors_.output + (step * size_.batch + first_) * size_.hidden;
    // Back and forth: what the step before has read last is still in the cache, however large the weight is.
    simd::Int8Columns weight = tensors_.weight.state;
    weight.backwards = step % 2 != 0;
    kernels_.step(weight, {size_.hidden,
                           {rows_, stride(), state(step)},
                           state(step + 1),
                           projected_.get() + at * rows_ * kGates,
                           steps * rows_ * kGates,
                           cells_.get(),
                           h});
    for (std::int64_t row = 0; row < rows_; ++row) {
      bool& lost = lost_[static_cast<std::size_t>(row)];
      lost = lost || std::isnan(input_scales_.get()[at * rows_ + row]);
      if (lost) std::fill_n(h + row * size_.hidden, size_.hidden, kNan);
    }
  }

  void end() {
    const std::int64_t states = size_.batch * size_.hidden;
    const float* last = size_.steps > 0 ? tensors_.output + (size_.steps - 1) * states : tensors_.h0;
    std::copy_n(rows_of(last), rows_ * size_.hidden, tensors_.h + first_ * size_.hidden);
    for (std::int64_t row = 0; row < rows_; ++row) {
      float* c = tensors_.c + (first_ + row) * size_.hidden;
      const bool lost = size_.steps > 0 && lost_[static_cast<std::size_t>(row)];
      for (std::int64_t j = 0; j < size_.hidden; ++j) {
        c[j] = lost ? kNan : cells_.get()[(j / kUnits * rows_ + row) * kUnits + j % kUnits];
      }
    }
  }

  static constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  const simd::LltmInt8Kernels& kernels_ = simd::kernels<simd::LltmInt8Kernels>();
  const Tensors& tensors_;
  const Sizes& size_;
  std::int64_t first_;
  std::int64_t rows_;
  std::int64_t block_;
  Scratch<std::uint8_t> state_;
  Scratch<std::uint8_t> input_;
  Scratch<float> input_scales_;
  Scratch<float> projected_;      // [panels, steps of a block * rows, 48]
  Scratch<float> cells_;          // [panels, rows, 16]
  std::unique_ptr<bool[]> lost_;  // rows that are NaN from now on
};

}  // namespace

void LltmInt8::compute(View<const float> input, View<const float> h0, View<const float> c0,
                       View<const std::int8_t> weight, View<const std::int32_t> sums, View<const float> scales,
                       View<float> output, View<float> h, View<float> c, const Parallel& parallel) {
  const Sizes size{input.shape[0], input.shape[1], input.shape[2], h0.shape[1]};
  if (size.hidden == 0) return;
  const Tensors tensors{
      size,  Weight(size, weight.data, sums.data, scales.data), input.data, h0.data, c0.data, output.data, h.data,
      c.data};
  // A piece is worth the start of a thread: about a million products.
  const std::int64_t products = size.steps * size.panels * size.panel_bytes;
  const std::int64_t grain = std::max<std::int64_t>(1, 1000000 / std::max<std::int64_t>(1, products));
  parallel(size.batch, grain, [&](std::int64_t from, std::int64_t to) { Sequence(tensors, from, to - from).run(); });
}

}  // namespace op
