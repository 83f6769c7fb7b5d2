"""The backend for LiteRT: the verdict and the outputs of Python, batches in pieces, and what is said of bad files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import deploypipe
from deploypipe import ModelSpec, native
from deploypipe.target import parse

from .running import (
    WITHOUT,
    Program,
    assert_same_outputs,
    assert_same_verdict,
    of_zoo,
    relist,
    runtime_library,
)

RUNTIME = "litert"
NO_RUNTIME, RUNTIME_FAILED = 4, 5


@pytest.fixture
def copied(out: Path, tmp_path: Path) -> Path:
    """A bundle with an op library, to do with as one likes."""
    return Path(shutil.copytree(of_zoo("lltm", RUNTIME, out, decomposed=False), tmp_path / "bundle"))


class Picked(nn.Module):
    """Takes an element of each row, for which the rows are numbered by a constant."""

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        return x[torch.arange(x.size(0)), index]


@pytest.fixture(scope="module")
def picked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with signatures for batches of 1 and 4."""
    spec = ModelSpec("picked", Picked(), (torch.rand(2, 5), torch.tensor([0, 1])))
    wanted = parse({"name": "pieces", "batches": [4, 1], "artifact": [{"runtime": RUNTIME}]}, "pieces")
    return Path(deploypipe.build(spec, [wanted], out=tmp_path_factory.mktemp("picked"))[0].path)


def test_a_batch_that_cannot_be_open_is_run_in_pieces(program: Program, picked: Path) -> None:
    assert b"batch_4" in (picked / "model.tflite").read_bytes()
    ran = program.run(picked, runtime_library(RUNTIME))
    assert_same_verdict(ran, picked, WITHOUT)
    assert_same_outputs(ran, picked, WITHOUT)


def test_a_library_of_something_else(program: Program, copied: Path) -> None:
    ran = program.run(copied, runtime_library("onnxruntime"))
    assert ran.status == NO_RUNTIME
    assert "is not LiteRT 2.3 or newer: it has no LiteRtCreateEnvironment" in ran.error


def test_where_it_was_looked_for_is_said(program: Program, copied: Path) -> None:
    ran = program.run(copied, None)
    assert ran.status == NO_RUNTIME
    assert f"LiteRT is not found: libLiteRt.so is neither in {copied / 'lib'} nor on this system" in ran.error


def test_an_op_library_of_another_runtime(program: Program, copied: Path) -> None:
    (library,) = (copied / "lib").iterdir()
    shutil.copy2(native.library("onnxruntime"), library)
    relist(copied)
    ran = program.run(copied, runtime_library(RUNTIME))
    assert ran.status == RUNTIME_FAILED
    assert f"The op library {library.name} does not load in LiteRT" in ran.error


@pytest.mark.parametrize("content", [b"", b"no model, and longer than a header of a file would be"])
def test_an_artifact_that_is_none(program: Program, copied: Path, content: bytes) -> None:
    (copied / "model.tflite").write_bytes(content)
    relist(copied)
    ran = program.run(copied, runtime_library(RUNTIME))
    assert ran.status == RUNTIME_FAILED
    assert "model.tflite does not load in LiteRT" in ran.error


def test_a_model_with_other_inputs_than_the_manifest_says(program: Program, copied: Path, picked: Path) -> None:
    shutil.copy2(picked / "model.tflite", copied / "model.tflite")
    relist(copied)
    ran = program.run(copied, runtime_library(RUNTIME))
    assert ran.status == RUNTIME_FAILED
    assert "model.tflite has other inputs or outputs than the manifest" in ran.error
