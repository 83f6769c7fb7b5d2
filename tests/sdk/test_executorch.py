"""The backend for ExecuTorch, a library of its own, on the runtime of the wheel: it shows that the numbers are right,
and nothing of a phone's size or speed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from deploypipe import native
from deploypipe.native import sdk, toolchain

from .running import Program, host_program, of_zoo, relist

RUNTIME = "executorch"
UNSUPPORTED, NO_RUNTIME, RUNTIME_FAILED = 3, 4, 5

pytestmark = pytest.mark.skipif(
    toolchain.package_folder("executorch", None) is None, reason="executorch is not installed"
)


@pytest.fixture
def copied(out: Path, tmp_path: Path) -> Path:
    """A bundle with an op library, to do with as one likes."""
    return Path(shutil.copytree(of_zoo("lltm", RUNTIME, out, decomposed=False), tmp_path / "bundle"))


def test_what_is_missing_is_said(out: Path, tmp_path: Path) -> None:
    """On a machine where the runtime does not lie in the place that the SDK was built with."""
    tree = Path(shutil.copytree(sdk.tree(), tmp_path / "sdk", symlinks=True))
    backend = tree / "lib" / "libdeploypipe_executorch.so"
    here = str(toolchain.package_folder("executorch", None)).encode()
    backend.write_bytes(backend.read_bytes().replace(here, b"/none".ljust(len(here), b"e")))
    ran = host_program(tmp_path, tree).run(of_zoo("lltm", RUNTIME, out, decomposed=False), None)
    assert ran.status == NO_RUNTIME
    assert "libdeploypipe_executorch.so cannot be loaded as the backend for executorch: _portable_lib" in ran.error


def test_an_op_library_of_another_runtime(program: Program, copied: Path) -> None:
    (library,) = (copied / "lib").iterdir()
    shutil.copy2(native.library("litert"), library)
    relist(copied)
    ran = program.run(copied, None)
    assert ran.status == RUNTIME_FAILED
    assert "model.pte does not load in ExecuTorch: OperatorMissing" in ran.error


@pytest.mark.parametrize("content", [b"no model", bytes(4096)])
def test_an_artifact_that_is_none(program: Program, copied: Path, content: bytes) -> None:
    (copied / "model.pte").write_bytes(content)
    relist(copied)
    ran = program.run(copied, None)
    assert ran.status == RUNTIME_FAILED
    assert "model.pte does not load in ExecuTorch: InvalidProgram" in ran.error


def test_a_program_that_is_cut_off(program: Program, copied: Path) -> None:
    path = copied / "model.pte"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    relist(copied)
    ran = program.run(copied, None)
    assert ran.status == RUNTIME_FAILED
    assert "model.pte does not load in ExecuTorch: " in ran.error
