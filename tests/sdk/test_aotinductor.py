"""The backend for AOTInductor: the verdict and the outputs of Python on libtorch's C functions, and bad packages."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from deploypipe import native

from .running import (
    Program,
    of_zoo,
    relist,
    runtime_library,
)

RUNTIME = "aotinductor"
BAD_BUNDLE, UNSUPPORTED, NO_RUNTIME, RUNTIME_FAILED = 2, 3, 4, 5


@pytest.fixture(scope="module")
def libtorch() -> Path:
    return runtime_library(RUNTIME)


@pytest.fixture
def copied(out: Path, tmp_path: Path) -> Path:
    """A bundle with an op library, to do with as one likes."""
    return Path(shutil.copytree(of_zoo("lltm", RUNTIME, out), tmp_path / "bundle"))


def repacked(bundle: Path, **changes: bytes | None) -> None:
    """Writes the package anew, with other content for the entries of some endings, or without them."""
    path = bundle / "model.pt2"
    with zipfile.ZipFile(path) as package:
        entries = {name: package.read(name) for name in package.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in entries.items():
            new = next((changes[end] for end in changes if name.endswith(f".wrapper.{end}")), content)
            if new is not None:
                package.writestr(name, new)
    relist(bundle)


def test_where_it_was_looked_for_is_said(program: Program, copied: Path) -> None:
    ran = program.run(copied, None)
    assert ran.status == NO_RUNTIME
    assert f"libtorch is not found: libtorch_cpu.so is neither in {copied / 'lib'} nor on this system" in ran.error
    assert "Install torch (pip)" in ran.error


def test_a_library_of_something_else(program: Program, copied: Path) -> None:
    ran = program.run(copied, runtime_library("onnxruntime"))
    assert ran.status == NO_RUNTIME
    assert "is not libtorch 2.13 or newer: it has no aoti_torch_abi_version" in ran.error


def test_an_op_library_of_another_runtime(program: Program, copied: Path, libtorch: Path) -> None:
    (library,) = (copied / "lib").iterdir()
    shutil.copy2(native.library("executorch"), library)
    relist(copied)
    ran = program.run(copied, libtorch)
    assert ran.status == RUNTIME_FAILED
    assert f"The op library {library.name} does not load in torch 2." in ran.error


def test_an_op_that_is_not_in_its_op_library(program: Program, copied: Path, libtorch: Path) -> None:
    tensor: dict[str, object] = {"as_tensor": {}}
    node = {"target": "deploypipe::none", "inputs": [{"arg": tensor}] * 4, "outputs": [tensor] * 3}
    repacked(copied, json=json.dumps({"nodes": [{"node": node}]}).encode())
    ran = program.run(copied, libtorch)
    assert ran.status == RUNTIME_FAILED
    assert "AOTInductor fails: Could not find schema for deploypipe::none" in ran.error


def test_an_op_of_torch_that_has_no_c_function(program: Program, copied: Path, libtorch: Path) -> None:
    repacked(copied, json=b'{"nodes": [{"node": {"target": "aten::sort.stable", "inputs": [], "outputs": []}}]}')
    ran = program.run(copied, libtorch)
    assert ran.status == UNSUPPORTED
    assert "The model calls aten::sort.stable in a way that libtorch has no C function for" in ran.error


@pytest.mark.parametrize("text", [b"no JSON", b"{}", b'{"nodes": [{"node": {"target": 1}}]}'])
def test_a_list_of_ops_that_is_none(program: Program, copied: Path, libtorch: Path, text: bytes) -> None:
    repacked(copied, json=text)
    ran = program.run(copied, libtorch)
    assert ran.status == BAD_BUNDLE
    assert "model.pt2 is damaged: " in ran.error


def test_a_package_without_a_library(program: Program, copied: Path, libtorch: Path) -> None:
    repacked(copied, so=None)
    ran = program.run(copied, libtorch)
    assert ran.status == BAD_BUNDLE
    assert ran.error == "model.pt2 holds no model. Build the bundle again."


def test_a_library_that_is_none(program: Program, copied: Path, libtorch: Path) -> None:
    repacked(copied, so=b"no library")
    ran = program.run(copied, libtorch)
    assert ran.status == RUNTIME_FAILED
    assert "model.pt2 does not load in torch 2." in ran.error


def test_a_damaged_package_gives_one_sentence(program: Program, copied: Path, libtorch: Path) -> None:
    path = copied / "model.pt2"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    relist(copied)
    ran = program.run(copied, libtorch)
    assert ran.status == BAD_BUNDLE
    assert "model.pt2 is not a whole zip: " in ran.error
    assert len(ran.error.splitlines()) == 1


def test_what_was_unpacked_is_removed(
    program: Program, out: Path, libtorch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert program.run(of_zoo("lltm", RUNTIME, out), libtorch).status == 0
    assert list(tmp_path.iterdir()) == []
