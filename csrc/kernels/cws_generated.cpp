#include "kernels/cws_generated.h"

#include <algorithm>
#include <array>
#include <mutex>
#include <vector>

#include "kernels/cws_rows.h"
#include "kernels/cws_tables_simd.h"

namespace op::cws {
namespace {

using Table = std::shared_ptr<const GeneratedTable>;

constexpr std::size_t kMost = 32;                             // tables that are kept
constexpr std::int64_t kDenseBytes = std::int64_t{32} << 20;  // above, a table is for sparse rows

std::shared_ptr<GeneratedTable> allocate(const Recipe& recipe) {
  const std::int64_t tiles = (recipe.hashes + 15) / 16;
  const std::int64_t floats = tiles * recipe.features * 64;
  const bool dense = floats * static_cast<std::int64_t>(sizeof(float)) <= kDenseBytes;
  const std::int64_t feature_step = dense ? 64 : tiles * 64;
  const std::int64_t tile_step = dense ? recipe.features * 64 : 64;
  return std::make_shared<GeneratedTable>(GeneratedTable{recipe, feature_step, tile_step, scratch<float>(floats)});
}

using Streams = std::array<std::uint32_t, 5>;

/// Draws the parameters of one feature.
void draw(GeneratedTable& table, std::int64_t feature, const Streams& streams, const Streams& mixed) {
  Streams row{};
  for (std::size_t n = 0; n < row.size(); ++n) row.at(n) = mix(streams.at(n) + static_cast<std::uint32_t>(feature));
  float* cell = table.data.get() + feature * table.feature_step;
  for (std::int64_t hash = 0; hash < table.recipe.hashes; hash += 16, cell += table.tile_step) {
    simd::kernels<simd::CwsTableKernels>().draw(row.data(), mixed.data(), static_cast<std::uint32_t>(hash), cell);
  }
}

Table make(const Recipe& recipe, const Parallel& parallel) {
  const std::shared_ptr<GeneratedTable> table = allocate(recipe);
  Streams streams{};
  for (std::uint32_t n = 0; n < streams.size(); ++n) streams.at(n) = stream(recipe.seed, n);
  Streams mixed{};
  std::transform(streams.begin(), streams.end(), mixed.begin(), mix);
  const std::int64_t grain = std::max<std::int64_t>(1, 1000 / std::max<std::int64_t>(1, recipe.hashes));
  parallel(recipe.features, grain, [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t feature = from; feature < to; ++feature) draw(*table, feature, streams, mixed);
  });
  return table;
}

/// The tables that were used last, the latest at the end.
class Kept {
 public:
  Table find(const Recipe& recipe) {
    const std::lock_guard lock(mutex_);
    const auto found =
        std::find_if(tables_.begin(), tables_.end(), [&](const Table& table) { return table->recipe == recipe; });
    if (found == tables_.end()) return nullptr;
    std::rotate(found, found + 1, tables_.end());
    return tables_.back();
  }

  void add(Table table) {
    const std::lock_guard lock(mutex_);
    if (tables_.size() == kMost) tables_.erase(tables_.begin());
    tables_.push_back(std::move(table));
  }

 private:
  std::mutex mutex_;
  std::vector<Table> tables_;
};

}  // namespace

Table generated(const Recipe& recipe, const Parallel& parallel) {
  static Kept kept;
  if (Table table = kept.find(recipe)) return table;
  // Not under the lock: the pool may run another op in this thread meanwhile. Two threads may make the same table.
  Table table = make(recipe, parallel);
  kept.add(table);
  return table;
}

}  // namespace op::cws
