"""`deploypipe run`: an .npz in, an .npz out, and nothing at all when something is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deploypipe.cli import bundles

Cli = Callable[..., Any]

X = np.ones((2, 4), "float32")


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"y": X}, "The inputs are y.\nGive exactly: x float32[batch,4]."),
        ({}, "The inputs are nothing.\nGive exactly: x float32[batch,4]."),
        ({"x": X.astype("float64")}, "Input 'x' is float64[2,4].\nIt must be x float32[batch,4]."),
        ({"x": X[:, :3]}, "Input 'x' is float32[2,3]."),
        ({"x": np.ones((1025, 4), "float32")}, "It must be x float32[batch,4] with batch 1 to 1024."),
        ({"x": np.array([None])}, "in.npz is not an .npz file"),
    ],
)
def test_wrong_arrays_are_bad_input(
    cli: Cli, onnx_bundle: Path, tmp_path: Path, arrays: dict[str, Any], said: str
) -> None:
    np.savez(tmp_path / "in.npz", **arrays)
    done = cli("run", onnx_bundle, "--input", tmp_path / "in.npz", "--output", "out.npz", code=2)
    assert said in done.stderr
    assert list((tmp_path / "work").iterdir()) == []


def test_nan_is_bad_input_for_a_model_that_hashes(cli: Cli, hashing_onnx: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", x=np.full((2, 6), np.nan, "float32"))
    done = cli("run", hashing_onnx, "--input", tmp_path / "in.npz", "--output", "out.npz", code=2)
    assert "Error: Input 'x' holds NaN or infinity" in done.stderr
    assert list((tmp_path / "work").iterdir()) == []


def save_npy(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, X)


def save_half(path: Path) -> None:
    np.savez(path, x=X)
    path.write_bytes(path.read_bytes()[:-30])


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("x = 1"),
        lambda path: path.write_bytes(b"PK\x03\x04"),
        save_npy,
        save_half,
    ],
    ids=["empty", "text", "zip", "npy", "half"],
)
def test_a_file_without_arrays_is_bad_input(
    cli: Cli, onnx_bundle: Path, tmp_path: Path, write: Callable[[Path], object]
) -> None:
    write(tmp_path / "in.npz")
    done = cli("run", onnx_bundle, "--input", tmp_path / "in.npz", "--output", "out.npz", code=2)
    assert "in.npz is not an .npz file" in done.stderr
    assert "Write it with numpy.savez." in done.stderr


@pytest.mark.parametrize("output", ["no/such/folder/out.npz", "."])
def test_an_output_that_cannot_be_written_is_bad_input(
    cli: Cli, onnx_bundle: Path, tmp_path: Path, output: str
) -> None:
    np.savez(tmp_path / "in.npz", x=X)
    done = cli("run", onnx_bundle, "--input", tmp_path / "in.npz", "--output", output, code=2)
    assert f"{output} cannot be written" in done.stderr
    assert list(tmp_path.glob("*.npz")) == [tmp_path / "in.npz"]
    assert list((tmp_path / "work").iterdir()) == []


def test_an_output_may_have_any_name(tmp_path: Path) -> None:
    """`file` is an argument of numpy.savez."""
    arrays = {"file": X, "arr_0": np.arange(3)}
    bundles._save(tmp_path / "out.npz", arrays)
    with np.load(tmp_path / "out.npz") as read:
        assert {name: read[name].tolist() for name in read.files} == {n: a.tolist() for n, a in arrays.items()}
