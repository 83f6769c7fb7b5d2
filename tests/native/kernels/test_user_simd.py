"""Libraries of users: without SIMD sources they need no Highway; with them each set has its own code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from deploypipe import native

from .harness import Kernels

OPS_H = """
#pragma once
#include "op.h"
namespace op {
struct Which {
  static constexpr auto signature = "which() -> set[1], lanes[1]";
  static void compute(View<std::int32_t> set, View<std::int32_t> lanes);
};
using Ops = List<Which>;
}
"""
TABLE_H = """
#pragma once
#include "simd/isa.h"
namespace op::simd {
struct WhichKernels { int set; int lanes; };
OP_SIMD_TABLES(WhichKernels)
}
"""
SIMD_CPP = """
#include "which_simd.h"
#include "simd/vector.h"
namespace op::simd {
constinit const WhichKernels Compiled<WhichKernels, Isa::OP_ISA>::table = {static_cast<int>(Isa::OP_ISA), kLanes};
}
"""
WHICH_CPP = """
#include "ops.h"
#include "which_simd.h"
namespace op {
void Which::compute(View<std::int32_t> set, View<std::int32_t> lanes) {
  set[0] = simd::kernels<simd::WhichKernels>().set;
  lanes[0] = simd::kernels<simd::WhichKernels>().lanes;
}
}
"""
LANES = {"portable": 1, "sse4": 4, "avx2": 8, "avx512": 16, "avx512vnni": 16, "neon": 4, "neondot": 4}
PLAIN_H = """
#include "op.h"
namespace op {
struct Twice {
  static constexpr auto signature = "twice(x[N]) -> y[N]";
  static void compute(View<const float> x, View<float> y) {
    for (std::int64_t i = 0; i < x.size(); ++i) y[i] = 2 * x[i];
  }
};
using Ops = List<Twice>;
}
"""

Write = Callable[[str, dict[str, str]], native.OpSource]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a library of the given name."""

    def write_files(name: str, files: dict[str, str]) -> native.OpSource:
        (tmp_path / name).mkdir()
        for file, text in files.items():
            (tmp_path / name / file).write_text(text)
        return native.source(tmp_path / name)

    return write_files


def test_each_set_runs_its_own_code(kernels: Kernels, write: Write) -> None:
    files = {"ops.h": OPS_H, "which_simd.h": TABLE_H, "which_simd.cpp": SIMD_CPP, "which.cpp": WHICH_CPP}
    ops = native.Standalone(native.library("standalone", write("whichever", files)))
    assert ops.isas == kernels.isas
    for number, isa in enumerate(ops.isas):
        ops.use_isa(isa)
        kernels.run("portable", "square", [np.ones(1, np.float32)])  # the choice of another library
        found, lanes = ops.run("which", [])
        assert (found[0], lanes[0]) == (number, LANES[isa])


def test_without_simd_sources_highway_is_not_read(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = tmp_path / "include" / "hwy"
    trap.mkdir(parents=True)
    (trap / "highway.h").write_text("#error")
    monkeypatch.setenv("CPLUS_INCLUDE_PATH", str(trap.parent))
    monkeypatch.setenv("HIGHWAY_INCLUDE_DIR", str(tmp_path))
    library = native.library("standalone", write("plain", {"ops.h": PLAIN_H}))
    assert native.describe(library)["ops"][0]["name"] == "twice"
