// The kernels of cws for each instruction set: reading rows, and finding the winners in packed tables.
#pragma once

#include <cstdint>

#include "simd/isa.h"

namespace op::simd {

/// The nonzero weights of a row: their logarithms, and their places in the table in rising order. Behind the last
/// place stands a number above every place.
struct CwsRow {
  float* log = nullptr;
  std::int32_t* place = nullptr;
  std::int32_t count = 0;
};

/// Where the hashes go: `index` and `t` of the first row, the distance to the next row, and how many hashes of the
/// tiles exist. `names` has the features that the places stand for, where they are not the features themselves.
struct CwsOutput {
  std::int64_t* index;
  std::int64_t* t;
  std::int64_t row_step;
  std::int64_t hashes;
  const std::int32_t* names;
};

/// The parameters of some tiles: 64 floats for each tile and feature. Steps are in floats.
struct CwsTable {
  const float* data;
  std::int64_t feature_step;
  std::int64_t tile_step;
};

/// How many rows `rows` takes at most.
inline constexpr std::int64_t kCwsGroup = 32;

struct CwsKernels {
  /// Reads a row of `size` weights into arrays with room for `size` and 16 more.
  void (*read)(const float* weights, std::int64_t size, CwsRow* row);
  /// Hashes several rows with one tile, which stays in the cache.
  void (*rows)(const CwsRow* rows, std::int64_t count, const CwsTable* table, std::int64_t size,
               const CwsOutput* output);
  /// Hashes one row with several tiles, each of which is read once.
  void (*row)(const CwsRow* row, const CwsTable* table, std::int64_t tiles, const CwsOutput* output);
};

OP_SIMD_TABLES(CwsKernels)

}  // namespace op::simd
