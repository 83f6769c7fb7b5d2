#include "kernels/cws.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/cws_codes.h"
#include "kernels/cws_generated.h"
#include "kernels/log.h"

namespace op {
namespace {

constexpr std::int64_t kTile = 16;

/// The logarithms of the nonzeros of a row, and their places.
struct Row {
  std::vector<float> log;
  std::vector<std::int64_t> place;

  /// Leaves the row empty where it has no hash.
  void read(const float* weights, std::int64_t size) {
    log.clear();
    place.clear();
    for (std::int64_t i = 0; i < size; ++i) {
      if (weights[i] == 0.0f) continue;
      if (!(weights[i] > 0.0f && weights[i] <= std::numeric_limits<float>::max())) return log.clear();
      log.push_back(exact_log(weights[i]));
      place.push_back(i);
    }
  }
};

/// The parameters of one feature and hash.
struct Cell {
  float ri;
  float beta;
  float s;
  float r;
};

Cell cell(float r, float log_c, float beta) { return {1.0f / r, beta, log_c + r * (beta - 1.0f), r}; }

/// Rounds towards zero; what does not fit becomes the nearest number that does.
std::int64_t whole(float t) {
  constexpr float kLimit = 9.2e18f;
  return static_cast<std::int64_t>(std::clamp(t, -kLimit, kLimit));
}

/// `at(feature, hash)` gives the parameters.
template <class At>
void sample(const Row& row, std::int64_t hash, const At& at, std::int64_t& index, std::int64_t& t) {
  float lowest = std::numeric_limits<float>::infinity();
  index = -1;
  t = 0;
  for (std::size_t i = 0; i < row.log.size(); ++i) {
    const Cell c = at(row.place[i], hash);
    const float steps = std::floor(row.log[i] * c.ri + c.beta);
    const float height = c.s - c.r * steps;
    if (!(height < lowest)) continue;
    lowest = height;
    index = row.place[i];
    t = whole(steps);
  }
}

template <class At>
void hash_rows(View<const float> input, View<std::int64_t> index, View<std::int64_t> t, const Parallel& parallel,
               const At& at) {
  const std::int64_t size = input.shape[1];
  const std::int64_t hashes = index.shape[1];
  parallel(input.shape[0], 1, [&](std::int64_t from, std::int64_t to) {
    Row row;
    for (std::int64_t b = from; b < to; ++b) {
      row.read(input.data + b * size, size);
      for (std::int64_t j = 0; j < hashes; ++j) sample(row, j, at, index[b * hashes + j], t[b * hashes + j]);
    }
  });
}

/// The parameters of a hash in a tile of 64 floats.
Cell in_tile(const float* tile, std::int64_t hash) {
  const float* lane = tile + hash % kTile;
  return {lane[0], lane[kTile], lane[2 * kTile], lane[3 * kTile]};
}

double uniform(std::int64_t seed, std::uint32_t n, std::int64_t feature, std::int64_t hash) {
  const std::uint32_t base = cws::stream(seed, n);
  const std::uint32_t row = cws::mix(base + static_cast<std::uint32_t>(feature));
  const std::uint32_t column = cws::mix(cws::mix(base) + static_cast<std::uint32_t>(hash));
  return (cws::mix(row ^ column) + 0.5) * 0x1p-32;
}

Cell draw(std::int64_t seed, std::int64_t feature, std::int64_t hash) {
  const auto u = [&](std::uint32_t n) { return uniform(seed, n, feature, hash); };
  const double r = -double_log(u(0) * u(1));
  const double c = -double_log(u(2) * u(3));
  return cell(static_cast<float>(r), static_cast<float>(double_log(c)), static_cast<float>(u(4)));
}

}  // namespace

void Cws::compute(View<const float> input, View<const float> r, View<const float> log_c, View<const float> beta,
                  View<std::int64_t> index, View<std::int64_t> t, const Parallel& parallel) {
  const std::int64_t size = input.shape[1];
  hash_rows(input, index, t, parallel, [&](std::int64_t feature, std::int64_t hash) {
    const std::int64_t at = hash * size + feature;
    return cell(r[at], log_c[at], beta[at]);
  });
}

void CwsDense::compute(View<const float> input, std::int64_t, View<const float> table, View<std::int64_t> index,
                       View<std::int64_t> t, const Parallel& parallel) {
  const std::int64_t size = input.shape[1];
  hash_rows(input, index, t, parallel, [&](std::int64_t feature, std::int64_t hash) {
    return in_tile(table.data + (hash / kTile * size + feature) * 64, hash);
  });
}

void CwsSparse::compute(View<const float> input, std::int64_t, View<const float> table, View<std::int64_t> index,
                        View<std::int64_t> t, const Parallel& parallel) {
  const std::int64_t tiles = table.shape[1];
  hash_rows(input, index, t, parallel, [&](std::int64_t feature, std::int64_t hash) {
    return in_tile(table.data + (feature * tiles + hash / kTile) * 64, hash);
  });
}

void CwsCodes::compute(View<const float> input, std::int64_t, View<const std::uint8_t> table, View<std::int64_t> index,
                       View<std::int64_t> t, const Parallel& parallel) {
  const std::int64_t tiles = table.shape[1];
  hash_rows(input, index, t, parallel, [&](std::int64_t feature, std::int64_t hash) {
    const std::uint8_t* lane = table.data + (feature * tiles + hash / kTile) * 48 + hash % kTile;
    return cell(cws::decode_r(lane[0]), cws::decode_log_c(lane[2 * kTile]), cws::decode_beta(lane[kTile]));
  });
}

void CwsGenerated::compute(View<const float> input, View<const std::int64_t> seed, std::int64_t,
                           View<std::int64_t> index, View<std::int64_t> t, const Parallel& parallel) {
  hash_rows(input, index, t, parallel,
            [&](std::int64_t feature, std::int64_t hash) { return draw(seed[0], feature, hash); });
}

}  // namespace op
