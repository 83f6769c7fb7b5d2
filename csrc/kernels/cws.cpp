#include "kernels/cws.h"

#include <algorithm>
#include <cstring>

#include "kernels/cws_generated.h"
#include "kernels/cws_rows.h"
#include "kernels/cws_simd.h"
#include "kernels/cws_tables_simd.h"

namespace op {
namespace {

using cws::Rows;
using simd::CwsOutput;
using simd::CwsTable;

constexpr std::int64_t kTile = 16;
constexpr std::int64_t kCell = 4 * kTile;
constexpr std::int64_t kGrain = 4000;  // evaluations of 16 hashes that are worth a thread

std::int64_t grain(std::int64_t evaluations) {
  return std::max<std::int64_t>(1, kGrain / std::max<std::int64_t>(1, evaluations));
}

/// The hashes of a whole call.
struct Result {
  View<std::int64_t> index;
  View<std::int64_t> t;

  std::int64_t hashes() const { return index.shape[1]; }
  std::int64_t tiles() const { return (hashes() + kTile - 1) / kTile; }

  CwsOutput at(std::int64_t row, std::int64_t tile, const std::int32_t* names = nullptr) const {
    const std::int64_t first = row * hashes() + tile * kTile;
    return {index.data + first, t.data + first, hashes(), hashes() - tile * kTile, names};
  }
};

/// Reads the rows in groups and calls `hash(rows, number of the first row)`.
template <class Hash>
void for_groups(View<const float> input, const Parallel& parallel, const Hash& hash) {
  const std::int64_t count = input.shape[0];
  const std::int64_t size = input.shape[1];
  if (count == 0) return;
  Rows rows(std::min(count, simd::kCwsGroup), size);
  for (std::int64_t first = 0; first < count; first += simd::kCwsGroup) {
    rows.read(input.data + first * size, std::min(count - first, simd::kCwsGroup), parallel);
    hash(rows, first);
  }
}

/// Hashes each row by itself; `row(row, tile, tiles, output)` takes some tiles at once.
template <class Row>
void hash_each(const Rows& rows, std::int64_t first, const Result& result, const Parallel& parallel, const Row& row) {
  const std::int64_t tiles = result.tiles();
  const auto count = static_cast<std::int64_t>(rows.get().size());
  const std::int64_t chunk = std::min<std::int64_t>(tiles, 4);
  const std::int64_t chunks = tiles == 0 ? 0 : (tiles + chunk - 1) / chunk;
  const std::int64_t entries = rows.nonzeros() / std::max<std::int64_t>(1, count);
  parallel(count * chunks, grain(entries * chunk), [&](std::int64_t from, std::int64_t to) {
    while (from < to) {
      const std::int64_t b = from / chunks;
      const std::int64_t end = std::min(to, (b + 1) * chunks);
      const std::int64_t tile = from % chunks * chunk;
      const std::int64_t last = std::min(tiles, (end - b * chunks) * chunk);
      const CwsOutput output = result.at(first + b, tile);
      row(rows.get()[static_cast<std::size_t>(b)], tile, last - tile, output);
      from = end;
    }
  });
}

/// Hashes a group of rows tile by tile; `table(tile)` gives the packed floats.
void hash_dense(const Rows& rows, std::int64_t first, std::int64_t size, const float* table, const Result& result,
                const Parallel& parallel) {
  const simd::CwsKernels& kernels = simd::kernels<simd::CwsKernels>();
  if (rows.get().size() == 1) {
    return hash_each(rows, first, result, parallel,
                     [&](const simd::CwsRow& row, std::int64_t tile, std::int64_t tiles, const CwsOutput& output) {
                       const CwsTable from = {table + tile * size * kCell, kCell, size * kCell};
                       kernels.row(&row, &from, tiles, &output);
                     });
  }
  parallel(result.tiles(), grain(rows.nonzeros()), [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t tile = from; tile < to; ++tile) {
      const CwsTable one = {table + tile * size * kCell, kCell, 0};
      const CwsOutput output = result.at(first, tile);
      kernels.rows(rows.get().data(), static_cast<std::int64_t>(rows.get().size()), &one, size, &output);
    }
  });
}

/// Hashes a group of rows with tables that are made tile by tile, of the features that occur:
/// `fill(tile, features, floats)`.
template <class Fill>
void hash_filled(Rows& rows, std::int64_t first, const Result& result, const Parallel& parallel, const Fill& fill) {
  const std::span<const std::int32_t> features = rows.rank();
  const auto size = static_cast<std::int64_t>(features.size());
  parallel(result.tiles(), grain(rows.nonzeros() + 4 * size), [&](std::int64_t from, std::int64_t to) {
    const auto floats = cws::scratch<float>(size * kCell);
    for (std::int64_t tile = from; tile < to; ++tile) {
      fill(tile, features, floats.get());
      const CwsTable table = {floats.get(), kCell, 0};
      const CwsOutput output = result.at(first, tile, features.data());
      simd::kernels<simd::CwsKernels>().rows(rows.get().data(), static_cast<std::int64_t>(rows.get().size()), &table,
                                             size, &output);
    }
  });
}

/// Whether a feature serves several rows, so that it pays to gather the tile's parameters for all rows.
bool crowded(const Rows& rows, std::int64_t size) { return rows.get().size() > 1 && rows.nonzeros() > 2 * size; }

void hash_dense(View<const float> input, const float* table, const Result& result, const Parallel& parallel) {
  for_groups(input, parallel, [&](const Rows& rows, std::int64_t first) {
    hash_dense(rows, first, input.shape[1], table, result, parallel);
  });
}

void hash_sparse(View<const float> input, const float* table, const Result& result, const Parallel& parallel) {
  const std::int64_t step = result.tiles() * kCell;
  for_groups(input, parallel, [&](Rows& rows, std::int64_t first) {
    if (crowded(rows, input.shape[1])) {
      return hash_filled(rows, first, result, parallel,
                         [&](std::int64_t tile, std::span<const std::int32_t> features, float* to) {
                           for (const std::int32_t feature : features) {
                             std::memcpy(to, table + feature * step + tile * kCell, kCell * sizeof(float));
                             to += kCell;
                           }
                         });
    }
    hash_each(rows, first, result, parallel,
              [&](const simd::CwsRow& row, std::int64_t tile, std::int64_t tiles, const CwsOutput& output) {
                const CwsTable from = {table + tile * kCell, step, kCell};
                simd::kernels<simd::CwsKernels>().row(&row, &from, tiles, &output);
              });
  });
}

}  // namespace

void Cws::compute(View<const float> input, View<const float> r, View<const float> log_c, View<const float> beta,
                  View<std::int64_t> index, View<std::int64_t> t, const Parallel& parallel) {
  const Result result = {index, t};
  const std::int64_t size = input.shape[1];
  for_groups(input, parallel, [&](Rows& rows, std::int64_t first) {
    hash_filled(rows, first, result, parallel,
                [&](std::int64_t tile, std::span<const std::int32_t> features, float* to) {
                  const std::int64_t skip = tile * kTile * size;
                  const simd::CwsParameters from = {r.data + skip, log_c.data + skip, beta.data + skip, size};
                  const std::int64_t hashes = std::min(kTile, result.hashes() - tile * kTile);
                  simd::kernels<simd::CwsTableKernels>().pack(&from, hashes, features.data(),
                                                              static_cast<std::int64_t>(features.size()), to);
                });
  });
}

void CwsDense::compute(View<const float> input, std::int64_t, View<const float> table, View<std::int64_t> index,
                       View<std::int64_t> t, const Parallel& parallel) {
  hash_dense(input, table.data, {index, t}, parallel);
}

void CwsSparse::compute(View<const float> input, std::int64_t, View<const float> table, View<std::int64_t> index,
                        View<std::int64_t> t, const Parallel& parallel) {
  hash_sparse(input, table.data, {index, t}, parallel);
}

void CwsCodes::compute(View<const float> input, std::int64_t, View<const std::uint8_t> table, View<std::int64_t> index,
                       View<std::int64_t> t, const Parallel& parallel) {
  const Result result = {index, t};
  const std::int64_t step = result.tiles() * 48;
  const simd::CwsTableKernels& kernels = simd::kernels<simd::CwsTableKernels>();
  for_groups(input, parallel, [&](Rows& rows, std::int64_t first) {
    if (crowded(rows, input.shape[1])) {
      return hash_filled(rows, first, result, parallel,
                         [&](std::int64_t tile, std::span<const std::int32_t> features, float* to) {
                           const simd::CwsCodeTable from = {table.data + tile * 48, step, 48};
                           kernels.decode(&from, features.data(), static_cast<std::int64_t>(features.size()), to);
                         });
    }
    hash_each(rows, first, result, parallel,
              [&](const simd::CwsRow& row, std::int64_t tile, std::int64_t tiles, const CwsOutput& output) {
                const simd::CwsCodeTable from = {table.data + tile * 48, step, 48};
                kernels.row(&row, &from, tiles, &output);
              });
  });
}

void CwsGenerated::compute(View<const float> input, View<const std::int64_t> seed, std::int64_t hashes,
                           View<std::int64_t> index, View<std::int64_t> t, const Parallel& parallel) {
  const auto table = cws::generated({seed[0], input.shape[1], hashes}, parallel);
  if (table->feature_step == kCell) return hash_dense(input, table->data.get(), {index, t}, parallel);
  hash_sparse(input, table->data.get(), {index, t}, parallel);
}

}  // namespace op
