// What an op's compute sees: tensors as views, and the thread pool of the runtime it happens to run in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

namespace [[gnu::visibility("hidden")]] op {

/// A dense row-major tensor that belongs to the runtime. `View<const T>` is an input, `View<T>` an output.
template <class T>
struct View {
  T* data;
  std::span<const std::int64_t> shape;

  std::int64_t size() const {
    std::int64_t count = 1;
    for (const std::int64_t extent : shape) count *= extent;
    return count;
  }
  T& operator[](std::int64_t at) const { return data[at]; }
  T* begin() const { return data; }
  T* end() const { return data + size(); }
};

/// Splits a range over the threads of the runtime; runs it in the calling thread where there is no pool.
class Parallel {
 public:
  /// Runs `body(body_data, from, to)` over pieces that cover 0..count.
  using Body = void (*)(const void* body_data, std::int64_t from, std::int64_t to);
  using Pool = void (*)(void* pool_data, std::int64_t count, std::int64_t grain, Body body, const void* body_data);

  Parallel() = default;
  Parallel(Pool pool, void* pool_data) : pool_(pool), pool_data_(pool_data) {}

  /// Calls `f(from, to)` for disjoint pieces of 0..count, each of at least `grain` elements but the last.
  /// `f` must not throw.
  template <class F>
  void operator()(std::int64_t count, std::int64_t grain, const F& f) const {
    if (count <= 0) return;
    if (pool_ == nullptr || count <= grain) return f(std::int64_t{0}, count);
    const Body body = [](const void* data, std::int64_t from, std::int64_t to) {
      (*static_cast<const F*>(data))(from, to);
    };
    pool_(pool_data_, count, grain, body, &f);
  }

 private:
  Pool pool_ = nullptr;
  void* pool_data_ = nullptr;
};

}  // namespace op
