// Making the packed floats of cws for each instruction set: from parameters, from codes and from a seed; and hashing
// with codes as they are.
#pragma once

#include "kernels/cws_simd.h"

namespace op::simd {

/// Parameters as they are drawn: hashes of `step` features each.
struct CwsParameters {
  const float* r;
  const float* log_c;
  const float* beta;
  std::int64_t step;
};

/// Codes of some tiles: 48 bytes for each tile and feature; the steps are in bytes.
struct CwsCodeTable {
  const std::uint8_t* data;
  std::int64_t feature_step;
  std::int64_t tile_step;
};

struct CwsTableKernels {
  /// Packs one tile of at most 16 hashes for the named features.
  void (*pack)(const CwsParameters* from, std::int64_t hashes, const std::int32_t* features, std::int64_t count,
               float* tile);
  /// The same from codes.
  void (*decode)(const CwsCodeTable* from, const std::int32_t* features, std::int64_t count, float* tile);
  /// Draws a feature's parameters for the 16 hashes from `hash`; x_n = mix(feature[n] ^ mix(streams[n] + hash)).
  void (*draw)(const std::uint32_t* feature, const std::uint32_t* streams, std::uint32_t hash, float* cell);
  /// Hashes one row with several tiles of codes.
  void (*row)(const CwsRow* row, const CwsCodeTable* table, std::int64_t tiles, const CwsOutput* output);
};

OP_SIMD_TABLES(CwsTableKernels)

}  // namespace op::simd
