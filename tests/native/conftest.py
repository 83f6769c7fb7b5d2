"""Op libraries that the tests write and build."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from deploypipe import native

# The project's Square again, by struct and by op name, with other maths; and an op that has all the rest:
# attributes in shapes, with and without a default, and outputs of other types.
OPS_H = """
#pragma once
#include "op.h"
namespace op {
struct Square {
  static constexpr auto signature = "square(x[...]) -> y[...]";
  static void compute(View<const float> x, View<float> y) {
    for (std::int64_t i = 0; i < x.size(); ++i) y[i] = x[i] * x[i] + 100.0f;
  }
};
struct Pool {
  static constexpr auto signature =
      "pool(x[B,L], width, stride=2, scale=0.25) -> low[B,(L-width)/stride+1], at[B,(L-width)/stride+1]";
  static void compute(View<const float> x, std::int64_t width, std::int64_t stride, float scale,
                      View<std::int8_t> low, View<std::int64_t> at, const Parallel& parallel);
};
using Ops = List<Square, Pool>;
}  // namespace op
"""
POOL_CPP = """
#include "ops.h"
namespace op {
void Pool::compute(View<const float> x, std::int64_t width, std::int64_t stride, float scale, View<std::int8_t> low,
                   View<std::int64_t> at, const Parallel& parallel) {
  const std::int64_t windows = low.shape[1];
  parallel(low.shape[0], 1, [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t i = from * windows; i < to * windows; ++i) {
      const float* row = x.data + (i / windows) * x.shape[1] + (i % windows) * stride;
      std::int64_t best = 0;
      for (std::int64_t j = 1; j < width; ++j) best = row[j] < row[best] ? j : best;
      low[i] = static_cast<std::int8_t>(row[best] / scale);
      at[i] = best;
    }
  });
}
}  // namespace op
"""


def write_source(directory: Path, files: dict[str, str]) -> native.OpSource:
    directory.mkdir()
    for name, text in files.items():
        (directory / name).write_text(text)
    return native.source(directory)


@pytest.fixture
def own(tmp_path: Path) -> Callable[[str, str], native.OpSource]:
    """Writes a library of the given name with the given ops.h."""
    return lambda name, ops_h: write_source(tmp_path / name, {"ops.h": ops_h})


@pytest.fixture(scope="session")
def mine(tmp_path_factory: pytest.TempPathFactory) -> native.OpSource:
    """A user's library with a header and a source file."""
    return write_source(tmp_path_factory.mktemp("user") / "mine", {"ops.h": OPS_H, "pool.cpp": POOL_CPP})
