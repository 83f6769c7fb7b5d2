"""The backend for TorchScript, a library of its own: the verdict and the outputs of Python, and what is said."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from deploypipe import native
from deploypipe.native import sdk, toolchain

from .running import (
    WITH,
    Program,
    assert_same_verdict,
    host_program,
    of_zoo,
    relist,
    runtime_library,
)

RUNTIME = "torchscript"
UNSUPPORTED, NO_RUNTIME, RUNTIME_FAILED = 3, 4, 5


@pytest.fixture(scope="module")
def torch_folder() -> Path:
    package = toolchain.package_folder("torch", None)
    assert package
    return package / "lib"


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory, torch_folder: Path) -> Program:
    """The program and the SDK as on a machine where libtorch does not lie in the place that it was built with."""
    folder = tmp_path_factory.mktemp("moved")
    tree = Path(shutil.copytree(sdk.tree(), folder / "sdk", symlinks=True))
    backend = tree / "lib" / "libdeploypipe_torchscript.so"
    here = str(torch_folder).encode()
    backend.write_bytes(backend.read_bytes().replace(here, b"/none".ljust(len(here), b"e")))
    return host_program(folder, tree)


@pytest.fixture
def copied(out: Path, tmp_path: Path) -> Path:
    """A bundle with an op library, to do with as one likes."""
    return Path(shutil.copytree(of_zoo("lltm", RUNTIME, out), tmp_path / "bundle"))


def test_libtorch_may_be_named(moved: Program, out: Path, torch_folder: Path) -> None:
    bundle = of_zoo("lltm", RUNTIME, out)
    assert_same_verdict(moved.run(bundle, torch_folder / "libtorch_cpu.so"), bundle, WITH)


def test_what_is_missing_is_said(moved: Program, copied: Path) -> None:
    ran = moved.run(copied, None)
    assert ran.status == NO_RUNTIME
    assert "libdeploypipe_torchscript.so cannot be loaded as the backend for torchscript: libtorch_cpu.so" in ran.error
    assert "as runtime_library" in ran.error


def test_a_library_of_something_else(moved: Program, copied: Path) -> None:
    ran = moved.run(copied, runtime_library("onnxruntime"))
    assert ran.status == NO_RUNTIME
    assert "libtorch_cpu.so: cannot open shared object file" in ran.error


def test_an_op_library_of_another_runtime(program: Program, copied: Path) -> None:
    (library,) = (copied / "lib").iterdir()
    shutil.copy2(native.library("executorch"), library)
    relist(copied)
    ran = program.run(copied, None)
    assert ran.status == RUNTIME_FAILED
    assert f"The op library {library.name} does not load in torch 2." in ran.error


@pytest.mark.parametrize("content", [b"", b"no model", b"PK\x05\x06" + bytes(18)])
def test_an_artifact_that_is_none(program: Program, copied: Path, content: bytes) -> None:
    (copied / "model.pt").write_bytes(content)
    relist(copied)
    ran = program.run(copied, None)
    assert ran.status == RUNTIME_FAILED
    assert "model.pt does not load in torch 2." in ran.error
    assert len(ran.error.splitlines()) == 1
