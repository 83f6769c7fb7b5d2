#include "kernels/cws.h"

#include <algorithm>
#include <array>
#include <limits>
#include <vector>

#include "kernels/clones.h"
#include "kernels/log.h"

namespace op {
namespace {

constexpr int kLanes = 16;
constexpr std::int64_t kRows = 64;  // rows whose logarithms are held at a time

/// The weights of one row that take part: logarithms, and places unless all of the row does.
struct Row {
  std::vector<float> log;
  std::vector<std::int32_t> place;
  bool dense = false;

  /// Leaves the row empty where it has no hash.
  void read(const float* weights, std::int64_t size) {
    log.clear();
    place.clear();
    for (std::int64_t i = 0; i < size; ++i) {
      if (weights[i] == 0.0f) continue;
      if (!(weights[i] > 0.0f && weights[i] <= std::numeric_limits<float>::max())) return log.clear();
      log.push_back(exact_log(weights[i]));
      place.push_back(static_cast<std::int32_t>(i));
    }
    dense = static_cast<std::int64_t>(log.size()) == size;
  }
};

/// The parameters of one hash.
struct Hash {
  const float* r;
  const float* log_c;
  const float* beta;
};

OP_INLINE float steps(const Hash& hash, float log, std::int64_t at) {
  return __builtin_floorf(log / hash.r[at] + hash.beta[at]);
}

OP_INLINE float height(const Hash& hash, float t, std::int64_t at) {
  return hash.log_c[at] - hash.r[at] * ((t - hash.beta[at]) + 1.0f);
}

/// The lowest heights so far, one per lane, so that the loop over the weights has no dependency between lanes.
struct Best {
  std::array<float, kLanes> height{};
  std::array<std::int32_t, kLanes> at{};

  OP_INLINE void offer(int lane, float candidate, std::int32_t position) {
    const auto l = static_cast<std::size_t>(lane);
    const bool lower = candidate < height[l];
    height[l] = lower ? candidate : height[l];
    at[l] = lower ? position : at[l];
  }
};

/// Returns where in the row the lowest height stands, the first of equal ones; -1 where no height is finite.
template <class Place>
OP_INLINE std::int32_t lowest(const Row& row, const Hash& hash, const Place& place) {
  Best best;
  best.height.fill(std::numeric_limits<float>::infinity());
  best.at.fill(-1);
  const auto size = static_cast<std::int32_t>(row.log.size());
  const float* log = row.log.data();
  std::int32_t base = 0;
  for (; base + kLanes <= size; base += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) {
      const std::int64_t at = place(base + lane);
      best.offer(lane, height(hash, steps(hash, log[base + lane], at), at), base + lane);
    }
  }
  for (; base < size; ++base) {
    const std::int64_t at = place(base);
    best.offer(base % kLanes, height(hash, steps(hash, log[base], at), at), base);
  }
  std::size_t first = 0;
  for (std::size_t lane = 1; lane < kLanes; ++lane) {
    const bool lower = best.height[lane] < best.height[first];
    const bool tie = best.height[lane] == best.height[first] && best.at[lane] < best.at[first];
    if (lower || (tie && best.at[lane] >= 0)) first = lane;
  }
  return best.at[first];
}

OP_CLONES std::int32_t winner(const Row& row, const Hash& hash) {
  const std::int32_t* places = row.place.data();
  if (row.dense) return lowest(row, hash, [](std::int32_t i) { return std::int64_t{i}; });
  return lowest(row, hash, [places](std::int32_t i) { return std::int64_t{places[i]}; });
}

/// Rounds towards zero; what does not fit becomes the nearest number that does.
std::int64_t whole(float t) {
  constexpr float kLimit = 9.2e18f;
  return static_cast<std::int64_t>(std::clamp(t, -kLimit, kLimit));
}

void sample(const Row& row, const Hash& hash, std::int64_t& index, std::int64_t& t) {
  const std::int32_t at = row.log.empty() ? -1 : winner(row, hash);
  if (at < 0) {
    index = -1;
    t = 0;
    return;
  }
  index = row.place[static_cast<std::size_t>(at)];
  t = whole(steps(hash, row.log[static_cast<std::size_t>(at)], index));
}

}  // namespace

void Cws::compute(View<const float> input, View<const float> r, View<const float> log_c, View<const float> beta,
                  View<std::int64_t> index, View<std::int64_t> t, const Parallel& parallel) {
  const std::int64_t rows = input.shape[0];
  const std::int64_t size = input.shape[1];
  const std::int64_t hashes = r.shape[0];
  std::vector<Row> block(static_cast<std::size_t>(std::min(rows, kRows)));
  for (std::int64_t first = 0; first < rows; first += kRows) {
    const std::int64_t count = std::min(rows - first, kRows);
    parallel(count, 1, [&](std::int64_t from, std::int64_t to) {
      for (std::int64_t i = from; i < to; ++i) {
        block[static_cast<std::size_t>(i)].read(input.data + (first + i) * size, size);
      }
    });
    parallel(count * hashes, std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(1, size)),
             [&](std::int64_t from, std::int64_t to) {
               for (std::int64_t i = from; i < to; ++i) {
                 const std::int64_t skip = (i % hashes) * size;
                 const std::int64_t out = first * hashes + i;
                 sample(block[static_cast<std::size_t>(i / hashes)],
                        {r.data + skip, log_c.data + skip, beta.data + skip}, index[out], t[out]);
               }
             });
  }
}

}  // namespace op
