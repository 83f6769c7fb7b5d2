"""The backend for ONNX Runtime: the verdict and the outputs of Python, and what is said where it cannot run."""

from __future__ import annotations

import ctypes.util
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from deploypipe import native
from deploypipe.native import toolchain

from .running import (
    Program,
    of_zoo,
    relist,
    runtime_library,
)

RUNTIME = "onnxruntime"
NO_RUNTIME, RUNTIME_FAILED = 4, 5


@pytest.fixture
def copied(out: Path, tmp_path: Path) -> Path:
    """A bundle with an op library, to do with as one likes."""
    return Path(shutil.copytree(of_zoo("lltm", RUNTIME, out), tmp_path / "bundle"))


def test_the_runtime_may_lie_in_the_bundle(program: Program, copied: Path) -> None:
    shutil.copy2(runtime_library(RUNTIME), copied / "lib")
    relist(copied)
    assert program.run(copied, None).status == 0


@pytest.mark.skipif(bool(ctypes.util.find_library("onnxruntime")), reason="the system has ONNX Runtime")
def test_where_it_was_looked_for_is_said(program: Program, copied: Path) -> None:
    ran = program.run(copied, None)
    assert ran.status == NO_RUNTIME
    assert "ONNX Runtime is not found: libonnxruntime.so.1, libonnxruntime.so is neither in" in ran.error
    assert f"{copied / 'lib'} nor on this system" in ran.error
    assert "Install onnxruntime (pip)" in ran.error


def test_one_of_the_system_that_does_not_load_is_an_error(program: Program, copied: Path, tmp_path: Path) -> None:
    library = tmp_path / "libonnxruntime.so.1"
    library.write_text("no library, and longer than the header of one: " + 64 * "x")
    ran = replace(program, launcher=("env", f"LD_LIBRARY_PATH={tmp_path}")).run(copied, None)
    assert ran.status == NO_RUNTIME
    assert f"libonnxruntime.so.1 cannot be loaded as ONNX Runtime: {library}: " in ran.error


def test_a_file_that_is_not_there(program: Program, copied: Path, tmp_path: Path) -> None:
    ran = program.run(copied, tmp_path / "none.so")
    assert ran.status == NO_RUNTIME
    assert "none.so, which was named as ONNX Runtime" in ran.error


def test_a_library_of_something_else(program: Program, copied: Path) -> None:
    ran = program.run(copied, runtime_library("litert"))
    assert ran.status == NO_RUNTIME
    assert "libLiteRt.so is not ONNX Runtime: it has no OrtGetApiBase" in ran.error


def pretended(folder: Path, version: str) -> Path:
    """Builds a library that answers as an ONNX Runtime before 1.21 does."""
    source, library = folder / "old.c", folder / "libonnxruntime.so.1"
    source.write_text(
        "static const void* api(unsigned version) { return version > 17 ? 0 : &api; }\n"
        f'static const char* version(void) {{ return "{version}"; }}\n'
        "static struct { const void* (*api)(unsigned); const char* (*version)(void); } base = {api, version};\n"
        "void* OrtGetApiBase(void) { return &base; }\n"
    )
    compiler = toolchain.compiler()
    assert compiler
    subprocess.run([compiler, "-x", "c", "-shared", "-fPIC", str(source), "-o", str(library)], check=True)
    return library


def test_a_runtime_that_is_too_old(program: Program, copied: Path, tmp_path: Path) -> None:
    ran = program.run(copied, pretended(tmp_path, "1.17.3"))
    assert ran.status == NO_RUNTIME
    assert "ONNX Runtime 1.21 or newer is needed, this is 1.17.3" in ran.error


def test_an_op_library_of_another_runtime(program: Program, copied: Path) -> None:
    (library,) = (copied / "lib").iterdir()
    shutil.copy2(native.library("litert"), library)
    relist(copied)
    ran = program.run(copied, runtime_library(RUNTIME))
    assert ran.status == RUNTIME_FAILED
    assert f"The op library {library.name} does not load in ONNX Runtime" in ran.error


def test_an_artifact_that_is_none(program: Program, copied: Path) -> None:
    (copied / "model.onnx").write_bytes(b"no model")
    relist(copied)
    ran = program.run(copied, runtime_library(RUNTIME))
    assert ran.status == RUNTIME_FAILED
    assert "model.onnx does not load in ONNX Runtime" in ran.error
    assert ran.error.endswith("Build the bundle again.")
