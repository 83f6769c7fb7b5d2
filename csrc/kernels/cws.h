// Consistent weighted sampling: k hashes of each row of nonnegative weights. Two rows agree in a hash
// (index, t) with the probability sum(min) / sum(max) of their weights.
//
// With r, c ~ Gamma(2,1) and beta ~ U(0,1) for every feature and hash, and L the logarithm of a weight:
//   t = floor(L * ri + beta),  a = s - r * t,  where ri = 1 / r and s = log c + r * (beta - 1).
// The feature with the lowest a wins, the first of equal ones. All operations are IEEE float32, each rounded by
// itself, so that every machine gives the same bits. Zeros never win. A row that is all zero, or that has a NaN, a
// negative or an infinite weight, gets index -1 and t 0.
#pragma once

#include "op.h"

namespace op {

/// The parameters as they are drawn; packed anew in each call.
struct Cws {
  static constexpr auto signature = "cws(input[B,D], r[k,D], log_c[k,D], beta[k,D]) -> index[B,k], t[B,k]";
  static void compute(View<const float> input, View<const float> r, View<const float> log_c, View<const float> beta,
                      View<std::int64_t> index, View<std::int64_t> t, const Parallel& parallel);
};

/// A table for dense rows. A tile is 16 hashes; for each tile and feature it has 16 floats each of ri, beta, s, r.
/// What stands there for hashes that do not exist is not used.
struct CwsDense {
  static constexpr auto signature =
      "cws_dense(input[B,D], hashes, table[(hashes+15)/16,D,64]) -> index[B,hashes], t[B,hashes]";
  static void compute(View<const float> input, std::int64_t hashes, View<const float> table, View<std::int64_t> index,
                      View<std::int64_t> t, const Parallel& parallel);
};

/// The same floats with the tiles of a feature side by side, for rows with few nonzeros.
struct CwsSparse {
  static constexpr auto signature =
      "cws_sparse(input[B,D], hashes, table[D,(hashes+15)/16,64]) -> index[B,hashes], t[B,hashes]";
  static void compute(View<const float> input, std::int64_t hashes, View<const float> table, View<std::int64_t> index,
                      View<std::int64_t> t, const Parallel& parallel);
};

/// One byte for each number: 16 codes of r, of beta and of log c; see cws_codes.h.
struct CwsCodes {
  static constexpr auto signature =
      "cws_codes(input[B,D], hashes, table[D,(hashes+15)/16,48]) -> index[B,hashes], t[B,hashes]";
  static void compute(View<const float> input, std::int64_t hashes, View<const std::uint8_t> table,
                      View<std::int64_t> index, View<std::int64_t> t, const Parallel& parallel);
};

/// The parameters are drawn from the seed when first used, and kept; see cws_generated.h.
struct CwsGenerated {
  static constexpr auto signature = "cws_generated(input[B,D], seed[1], hashes) -> index[B,hashes], t[B,hashes]";
  static void compute(View<const float> input, View<const std::int64_t> seed, std::int64_t hashes,
                      View<std::int64_t> index, View<std::int64_t> t, const Parallel& parallel);
};

}  // namespace op
