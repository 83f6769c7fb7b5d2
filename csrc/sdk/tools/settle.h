// The warm-up: when is a bundle as fast as it gets?
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace bench {

/// What a warm-up came to.
struct Settled {
  std::size_t runs = 0;
  bool settled = false;
};

/// Runs until the medians of two blocks differ by less than 2 %, or the runs took so many seconds. A block has 5 runs
/// at least and 10 ms. `once` runs once and returns nanoseconds.
template <class Once>
Settled settle(const Once& once, double seconds) {
  constexpr std::size_t block_runs = 5;
  constexpr std::int64_t block_ns = 10'000'000;
  constexpr double steady = 0.02;
  Settled done;
  double spent = 0;
  double before = 0;
  while (spent < seconds * 1e9) {
    std::vector<std::int64_t> block;
    std::int64_t length = 0;
    while (block.size() < block_runs || length < block_ns) {
      block.push_back(once());
      length += block.back();
    }
    spent += static_cast<double>(length);
    done.runs += block.size();
    const auto middle = block.begin() + static_cast<std::ptrdiff_t>(block.size() / 2);
    std::nth_element(block.begin(), middle, block.end());
    const auto median = static_cast<double>(*middle);
    done.settled = std::abs(median - before) <= steady * before;
    if (done.settled) break;
    before = median;
  }
  return done;
}

}  // namespace bench
