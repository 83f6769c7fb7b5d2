"""What the projects are made of, and what of their tools is there."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deploypipe.embed import get, write
from tests.bundle import damage
from tests.sdk import emulated

Embed = Callable[..., Path]
Shell = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def embed(tmp_path: Path) -> Embed:
    """Writes a project of a kind with a bundle, and returns its folder."""
    return lambda bundle, kind: write(bundle, get(kind), tmp_path / kind).place


@pytest.fixture(scope="session")
def shell() -> Shell:
    """Runs a command line, which must succeed unless another exit code is named."""

    def run(line: str, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
        path = f"{Path(sys.executable).parent}:$PATH"
        words = ["bash", "-euc", f'export PATH="{path}"; {line}']
        done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)
        assert done.returncode == code, f"{line}\n{done.stdout}\n{done.stderr}"
        return done

    return run


@pytest.fixture(scope="session")
def zoo_bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The laptop bundles of lltm and gcwsnet, which know digits; they are taken from the cache where they are there."""
    out = tmp_path_factory.mktemp("zoo")
    command = Path(sys.executable).parent / "deploypipe"
    words = [command, "build", "lltm", "gcwsnet", "--target", "laptop", "--out", out]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {name: out / name / "laptop" / "onnxruntime-fp32" for name in ("lltm", "gcwsnet")}


@pytest.fixture(scope="session")
def digit() -> np.ndarray[Any, Any]:
    """An image of the digits test set: uint8[8,8], light strokes on dark ground."""
    from deploypipe.zoo import data

    pixels: np.ndarray[Any, Any] = np.rint(255 * data.load("digits").test.images[0, 0]).astype(np.uint8)
    return pixels


@pytest.fixture
def altered(onnx_bundle: Path, tmp_path: Path) -> Callable[..., Path]:
    """A bundle whose manifest says something else."""

    def alter(change: Callable[[dict[str, Any]], object], bundle: Path = onnx_bundle) -> Path:
        copy = Path(shutil.copytree(bundle, tmp_path / "altered"))
        damage.edit(copy, change)
        return copy

    return alter


@pytest.fixture
def emulator(tmp_path: Path) -> str:
    """What stands before a program for 64-bit ARM."""
    return " ".join(emulated.launcher(tmp_path / "board"))
