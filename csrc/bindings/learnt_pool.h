// Work over a thread pool that does not tell how many threads it has. Each piece of an op may read all of its weights,
// so that pieces beyond the threads cost time and bring none: how many threads come is learnt from the first calls, and
// again from time to time, since threads may have been busy.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <set>
#include <thread>
#include <vector>

#include "op/view.h"

namespace op {

class LearntPool {
 public:
  /// Runs the body over pieces of 0..count, each of whole grains: `for_each(total, work, data)` of the runtime calls
  /// `work(data, i)` for all i below `total` in its threads.
  template <class ForEach>
  void run(std::int64_t count, std::int64_t grain, Parallel::Body body, const void* data, const ForEach& for_each) {
    const bool again = calls_.fetch_add(1, std::memory_order_relaxed) % kAgain == 0;
    const bool learning = again || learnt_.load(std::memory_order_acquire) < kCalls;
    const std::int64_t most = learning ? kPerProcessor * processors() : threads_.load(std::memory_order_relaxed);
    const std::int64_t grains = std::max<std::int64_t>(1, (count + most * grain - 1) / (most * grain));
    Pieces pieces{count, grains * grain, body, data, {}};
    const auto total = static_cast<std::size_t>((count + pieces.size - 1) / pieces.size);
    if (total == 1) return body(data, 0, count);
    if (!learning) return for_each(total, work, &pieces);
    pieces.threads.resize(total);
    const auto start = std::chrono::steady_clock::now();
    for_each(total, work, &pieces);
    // In a shorter time the threads may still have been on their way.
    if (std::chrono::steady_clock::now() - start > kWhile) learn(pieces.threads);
  }

 private:
  static constexpr int kCalls = 4;                  // to learn from at first
  static constexpr unsigned kAgain = 256;           // and then one of so many
  static constexpr std::int64_t kPerProcessor = 4;  // pieces, to even out the load
  static constexpr std::chrono::microseconds kWhile{200};

  struct Pieces {
    std::int64_t count;
    std::int64_t size;
    Parallel::Body body;
    const void* data;
    std::vector<std::thread::id> threads;  // that took the pieces, while that is to be learnt
  };

  static std::int64_t processors() { return std::max<std::int64_t>(1, std::thread::hardware_concurrency()); }

  static void work(void* user, std::size_t at) {
    auto& pieces = *static_cast<Pieces*>(user);
    if (!pieces.threads.empty()) pieces.threads[at] = std::this_thread::get_id();
    const std::int64_t from = static_cast<std::int64_t>(at) * pieces.size;
    pieces.body(pieces.data, from, std::min(pieces.count, from + pieces.size));
  }

  void learn(const std::vector<std::thread::id>& threads) {
    const std::set<std::thread::id> distinct(threads.begin(), threads.end());
    const auto seen = static_cast<std::int64_t>(distinct.size());
    std::int64_t before = threads_.load(std::memory_order_relaxed);
    while (before < seen && !threads_.compare_exchange_weak(before, seen, std::memory_order_relaxed)) continue;
    learnt_.fetch_add(1, std::memory_order_release);
  }

  std::atomic<std::int64_t> threads_ = 1;  // the most that took part in a call
  std::atomic<int> learnt_ = 0;            // calls that something was learnt from
  std::atomic<unsigned> calls_ = 0;
};

}  // namespace op
