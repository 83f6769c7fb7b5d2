"""A library for LiteRT that is wrong in some way is refused before a model gets it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from deploypipe import native
from deploypipe.errors import DeployError
from deploypipe.native import toolchain
from deploypipe.runtimes.tflite import selftest

# Looks like an op library from outside.
FALSE = """
#include <cstdlib>
extern "C" {
extern const char text[];
const char text[] = "deploypipe-ops:{\\"namespace\\": \\"bad\\", \\"ops\\": []}";
const char* deploypipe_register_litert(void*, void*, void*) { BODY }
const char* deploypipe_litert_error() { return nullptr; }
}
"""
OPS_H = """
#pragma once
#include "op.h"
namespace op {
struct Same {
  static constexpr auto signature = "same(x[N]) -> y[N]";
  static void compute(View<const float> x, View<float> y) { for (std::int64_t i = 0; i < x.size(); ++i) y[i] = x[i]; }
};
using Ops = List<Same>;
}  // namespace op
"""


def compiled(folder: Path, *arguments: str | Path) -> Path:
    library = folder / "libbad_litert.so"
    command = [toolchain.compiler() or "g++", "-std=c++20", "-O0", "-fPIC", "-shared", *arguments, "-o", library]
    subprocess.run(list(map(str, command)), check=True)
    return library


@pytest.fixture
def changed(tmp_path: Path) -> Callable[[str, str], Path]:
    """Builds a library whose binding differs from the project's in one place."""

    def build(old: str, new: str) -> Path:
        bindings = tmp_path / "bindings"
        bindings.mkdir()
        found = 0
        for path in (native.PROJECT.directory / "bindings").glob("litert*"):
            found += path.read_text().count(old)
            (bindings / path.name).write_text(path.read_text().replace(old, new))
        assert found == 1
        (tmp_path / "ops.h").write_text(OPS_H)
        sources = [bindings / "litert.cpp", native.PROJECT.directory / "ops.cpp"]
        return compiled(tmp_path, '-DOP_NAMESPACE="bad"', "-I", tmp_path, "-I", native.PROJECT.directory, *sources)

    return build


@pytest.mark.usefixtures("own_cache")
def test_the_projects_library_passes_once_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    library = native.library("litert")
    start = time.perf_counter()
    selftest.check(library)
    assert time.perf_counter() - start < 10
    monkeypatch.setattr(subprocess, "run", None)
    selftest.check(library)


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("std::abort();", r"it crashes \(SIGABRT\)"),
        ('return "no";', r"libbad_litert\.so does not fit selftest\.tflite: no"),
        ("return nullptr;", r"There is no kernel for custom_call\.bad\.__selftest;scale=0\.1"),
        ("std::_Exit(0);", "it ends before the test does"),
    ],
)
def test_a_library_that_only_looks_like_one(tmp_path: Path, body: str, reason: str) -> None:
    (tmp_path / "false.cpp").write_text(FALSE.replace("BODY", body))
    library = compiled(tmp_path, tmp_path / "false.cpp")
    for _ in range(2):
        with pytest.raises(DeployError, match=f"libbad_litert.so fails its self-test in LiteRT 2.*: {reason}"):
            selftest.check(library)


@pytest.mark.slow
@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("x[i] * scale", "scale * x[i]", None),
        ("x[i] * scale", "x[i] + scale", "It gives wrong numbers"),
        ("kInt64 = 4", "kInt64 = 5", "__selftest: at is not a dense tensor of int64"),
        ("std::uint32_t rank : 7;", "std::uint32_t rank : 1;", ""),
        ("return report(kernel_of(user).run(inputs, given, outputs, results));", "return 0;", "It gives wrong numbers"),
        ("return report(kernel_of(user).layouts(inputs, given, outputs, wanted));", "return 0;", ""),
        ('"LiteRtLockTensorBuffer"', '"LiteRtGetTensorBufferSize"', "it crashes"),
    ],
)
def test_a_binding_that_is_wrong_about_litert(
    changed: Callable[[str, str], Path], old: str, new: str, reason: str | None
) -> None:
    library = changed(old, new)
    if reason is None:
        selftest.check(library)
        return
    with pytest.raises(DeployError, match=f"fails its self-test.*{reason}"):
        selftest.check(library)
