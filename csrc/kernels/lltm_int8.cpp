#include "kernels/lltm_int8.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <memory>
#include <new>

#include "kernels/lltm_int8_simd.h"

namespace op {
namespace {

constexpr std::int64_t kUnits = 16;  // hidden units of a panel
constexpr std::int64_t kGates = 48;  // its gates

constexpr std::int64_t padded(std::int64_t size, std::int64_t to) { return (size + to - 1) / to * to; }

/// Memory without values in one allocation: what is taken before `allocate` is only counted, and is taken again after.
class Scratch {
 public:
  template <class T>
  T* take(std::int64_t size) {
    T* piece = memory_ == nullptr ? nullptr : reinterpret_cast<T*>(memory_.get() + taken_);
    taken_ += padded(size * std::int64_t{sizeof(T)}, kVector);
    return piece;
  }

  void allocate() {
    memory_.reset(static_cast<std::byte*>(::operator new(static_cast<std::size_t>(taken_), std::align_val_t{kVector})));
    taken_ = 0;
  }

 private:
  static constexpr std::int64_t kVector = 64;  // bytes of the widest
  struct Free {
    void operator()(std::byte* memory) const { ::operator delete(memory, std::align_val_t{kVector}); }
  };
  std::unique_ptr<std::byte, Free> memory_;
  std::int64_t taken_ = 0;
};

struct Sizes {
  std::int64_t steps, batch, inputs, hidden;
  std::int64_t panels = (hidden + kUnits - 1) / kUnits;
  std::int64_t state_groups = (hidden + 3) / 4;
  std::int64_t input_groups = (inputs + 3) / 4;
  std::int64_t panel_bytes = (state_groups + input_groups) * 4 * kGates;
  std::int64_t state_stride = panels * kUnits;
  std::int64_t input_stride = std::max(kUnits, padded(inputs, kUnits));
};

struct Weight {
  simd::Int8Columns state;
  simd::Int8Columns input;

  Weight(const Sizes& size, const std::int8_t* weight, const std::int32_t* sums, const float* scales)
      : state{size.state_groups, size.hidden, size.panel_bytes, weight, sums, scales},
        input{size.input_groups, size.hidden,    size.panel_bytes, weight + size.state_groups * 4 * kGates,
              sums + kGates,     scales + kGates} {}
};

struct Tensors {
  Sizes size;
  Weight weight;
  const float* input = nullptr;
  const float* h0 = nullptr;
  const float* c0 = nullptr;
  float* output = nullptr;
  float* h = nullptr;
  float* c = nullptr;
};

/// Runs the sequence for some rows of the batch, which need nothing of the others.
class Sequence {
 public:
  Sequence(const Tensors& tensors, std::int64_t first, std::int64_t rows)
      : tensors_(tensors), size_(tensors.size), first_(first), rows_(rows) {
    // As many steps at a time as give the projection full tiles, and keep what it makes in the cache.
    block_ = std::clamp<std::int64_t>(kUnits / rows, 1, std::max<std::int64_t>(1, size_.steps));
    take();
    scratch_.allocate();
    take();
  }

  void run() {
    begin();
    for (std::int64_t step = 0; step < size_.steps; step += block_) {
      const std::int64_t steps = std::min(block_, size_.steps - step);
      project(step, steps);
      for (std::int64_t at = 0; at < steps; ++at) {
        recur(step + at, at, steps);
        spread_nan(step + at, input_scales_ + at * rows_);
      }
    }
    end();
  }

 private:
  void take() {
    states_ = scratch_.take<std::uint8_t>(2 * rows_ * size_.state_stride);
    codes_ = scratch_.take<std::uint8_t>(block_ * rows_ * size_.input_stride);
    input_scales_ = scratch_.take<float>(block_ * rows_);
    projected_ = scratch_.take<float>(size_.panels * block_ * rows_ * kGates);
    cells_ = scratch_.take<float>(rows_ * size_.state_stride);
    lost_ = scratch_.take<bool>(rows_);
  }

  /// Where the piece begins in a tensor [.., B, H], at a step.
  std::int64_t at(std::int64_t step) const { return (step * size_.batch + first_) * size_.hidden; }
  std::uint8_t* state(std::int64_t step) const { return states_ + (step % 2) * rows_ * size_.state_stride; }
  float& cell(std::int64_t row, std::int64_t unit) const {
    return cells_[(unit / kUnits * rows_ + row) * kUnits + unit % kUnits];
  }

  void begin() {
    const float* h = tensors_.h0 + at(0);
    const float* c = tensors_.c0 + at(0);
    kernels_.quantize_state(size_.hidden, h, {rows_, size_.state_stride, state(0)});
    for (std::int64_t row = 0; row < rows_; ++row, h += size_.hidden, c += size_.hidden) {
      lost_[row] = std::any_of(h, h + size_.hidden, is_nan) || std::any_of(c, c + size_.hidden, is_nan);
      for (std::int64_t j = 0; j < size_.state_stride; ++j) cell(row, j) = j < size_.hidden ? c[j] : 0.0f;
    }
  }

  void project(std::int64_t step, std::int64_t steps) {
    simd::Int8Rows rows{rows_, size_.input_stride, codes_};
    for (std::int64_t i = 0; i < steps; ++i, rows.codes += rows_ * rows.stride) {
      const float* x = tensors_.input + ((step + i) * size_.batch + first_) * size_.inputs;
      kernels_.quantize_input(size_.inputs, x, rows, input_scales_ + i * rows_);
    }
    kernels_.project(tensors_.weight.input, {steps * rows_, rows.stride, codes_}, input_scales_, projected_);
  }

  void recur(std::int64_t step, std::int64_t in_block, std::int64_t steps) {
    // Back and forth: what the step before has read last is still in the cache, however large the weight is.
    simd::Int8Columns weight = tensors_.weight.state;
    weight.backwards = step % 2 != 0;
    kernels_.step(weight, {{rows_, size_.state_stride, state(step)},
                           state(step + 1),
                           projected_ + in_block * rows_ * kGates,
                           steps * rows_ * kGates,
                           cells_,
                           tensors_.output + at(step)});
  }

  void spread_nan(std::int64_t step, const float* input_scales) {
    for (std::int64_t row = 0; row < rows_; ++row) {
      lost_[row] = lost_[row] || is_nan(input_scales[row]);
      if (lost_[row]) std::fill_n(tensors_.output + at(step) + row * size_.hidden, size_.hidden, kNan);
    }
  }

  void end() {
    const float* last = size_.steps > 0 ? tensors_.output + at(size_.steps - 1) : tensors_.h0 + at(0);
    std::copy_n(last, rows_ * size_.hidden, tensors_.h + at(0));
    float* c = tensors_.c + at(0);
    for (std::int64_t row = 0; row < rows_; ++row, c += size_.hidden) {
      const bool lost = size_.steps > 0 && lost_[row];
      for (std::int64_t j = 0; j < size_.hidden; ++j) c[j] = lost ? kNan : cell(row, j);
    }
  }

  static bool is_nan(float x) { return std::isnan(x); }
  static constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

  const simd::LltmInt8Kernels& kernels_ = simd::kernels<simd::LltmInt8Kernels>();
  const Tensors& tensors_;
  const Sizes& size_;
  std::int64_t first_;
  std::int64_t rows_;
  std::int64_t block_ = 1;  // steps whose input is projected at a time
  Scratch scratch_;
  std::uint8_t* states_ = nullptr;  // h as bytes, of the step before and of this one
  std::uint8_t* codes_ = nullptr;   // the input of a block as bytes
  float* input_scales_ = nullptr;
  float* projected_ = nullptr;  // [panels, steps of a block * rows, 48]
  float* cells_ = nullptr;      // [panels, rows, 16]
  bool* lost_ = nullptr;        // rows that are NaN from now on
};

}  // namespace

void LltmInt8::compute(View<const float> input, View<const float> h0, View<const float> c0,
                       View<const std::int8_t> weight, View<const std::int32_t> sums, View<const float> scales,
                       View<float> output, View<float> h, View<float> c, const Parallel& parallel) {
  const Sizes size{input.shape[0], input.shape[1], input.shape[2], h0.shape[1]};
  if (size.hidden == 0) return;
  const Tensors tensors{
      size, {size, weight.data, sums.data, scales.data}, input.data, h0.data, c0.data, output.data, h.data, c.data};
  // A piece is worth the start of a thread, about 20 us.
  constexpr std::int64_t kProducts = 4'000'000;
  const std::int64_t products = size.steps * size.panels * size.panel_bytes;
  const std::int64_t grain = std::max<std::int64_t>(1, kProducts / std::max<std::int64_t>(1, products));
  parallel(size.batch, grain, [&](std::int64_t from, std::int64_t to) { Sequence(tensors, from, to - from).run(); });
}

}  // namespace op
