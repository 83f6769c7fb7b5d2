"""What the tests of several packages share: the command line, caches, small models and finished bundles."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import torch

import deploypipe
from deploypipe import ModelSpec, cache
from deploypipe.ops import CWS

Cli = Callable[..., "subprocess.CompletedProcess[str]"]
Plain = Callable[..., ModelSpec]

# The suite tries the same examples each time; `pytest --hypothesis-profile=search` looks for new ones.
hypothesis.settings.register_profile("suite", derandomize=True, deadline=None, database=None, max_examples=150)
hypothesis.settings.register_profile("search", deadline=None, max_examples=5000)
hypothesis.settings.load_profile("suite")

COMMAND = Path(sys.executable).parent / "deploypipe"


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Runs `deploypipe` as a user does, in an empty folder unless another is given."""
    folder = tmp_path / "work"
    folder.mkdir()

    def run(*words: object, cwd: Path = folder, code: int | None = None) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"COLUMNS": "200", "NO_COLOR": "1"}
        command = [str(COMMAND), *map(str, words)]
        done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
        said = f"{done.stdout}\n{done.stderr}"
        assert "Traceback" not in said
        assert code is None or done.returncode == code, said
        return done

    return run


def fresh_cache(folder: Path) -> Path:
    """Makes an empty cache that shares what takes long to make with the usual one: op libraries, environments."""
    shared = cache.root()
    folder.mkdir()
    for name in ("native", "native-trees", "environments"):
        (shared / name).mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to((shared / name).resolve())
    return folder


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache in which nothing has been built yet; it holds for subprocesses too."""
    folder = fresh_cache(tmp_path / "cache")
    monkeypatch.setenv("DEPLOYPIPE_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def session_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of the bundles that tests share."""
    return fresh_cache(tmp_path_factory.mktemp("session") / "cache")


class Plain2(torch.nn.Module):
    """Two layers, with weights that depend on the seed alone."""

    def __init__(self, seed: int, scale: float) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.first = torch.nn.Parameter(torch.randn(4, 8, generator=generator))
        self.second = torch.nn.Parameter(scale * torch.randn(8, 3, generator=generator))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x @ self.first) @ self.second


@pytest.fixture(scope="session")
def plain() -> Plain:
    """Makes a small model without custom ops: `x float32[batch,4] -> y float32[batch,3]`."""

    def make(seed: int = 0, scale: float = 1.0, **fields: Any) -> ModelSpec:
        example = torch.randn(2, 4, generator=torch.Generator().manual_seed(1))
        named = {"name": "plain", "input_names": ["x"], "output_names": ["y"]}
        return ModelSpec(**(named | {"module": Plain2(seed, scale), "example_inputs": (example,)} | fields))

    return make


def _built(home: Path, spec: ModelSpec, runtime: str) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEPLOYPIPE_CACHE", str(home))
        return deploypipe.build(spec, out=home.parent / "dist", runtimes=[runtime])[0].path


@pytest.fixture(scope="session")
def built_onnx(session_cache: Path, plain: Plain) -> Path:
    return _built(session_cache, plain(), "onnxruntime")


@pytest.fixture(scope="session")
def built_script(session_cache: Path, plain: Plain) -> Path:
    return _built(session_cache, plain(), "torchscript")


@pytest.fixture(scope="session")
def hashing() -> ModelSpec:
    """A model whose one op is undefined for NaN."""
    return ModelSpec("hashing", CWS(6, 4), (torch.rand(2, 6),), ["x"], ["index", "t"])


@pytest.fixture(scope="session")
def built_hashing_onnx(session_cache: Path, hashing: ModelSpec) -> Path:
    return _built(session_cache, hashing, "onnxruntime")


@pytest.fixture(scope="session")
def built_hashing_script(session_cache: Path, hashing: ModelSpec) -> Path:
    return _built(session_cache, hashing, "torchscript")


@pytest.fixture
def onnx_bundle(built_onnx: Path, tmp_path: Path) -> Path:
    """A verified bundle of `plain` for ONNX Runtime, to do with as one likes."""
    return Path(shutil.copytree(built_onnx, tmp_path / "onnx-bundle"))


@pytest.fixture
def script_bundle(built_script: Path, tmp_path: Path) -> Path:
    """The same for TorchScript."""
    return Path(shutil.copytree(built_script, tmp_path / "script-bundle"))


@pytest.fixture
def hashing_onnx(built_hashing_onnx: Path, tmp_path: Path) -> Path:
    """A verified bundle of `hashing` for ONNX Runtime; it holds an op library, and function bodies."""
    return Path(shutil.copytree(built_hashing_onnx, tmp_path / "hashing-onnx"))


@pytest.fixture
def hashing_script(built_hashing_script: Path, tmp_path: Path) -> Path:
    """The same for TorchScript, which cannot do without the op library."""
    return Path(shutil.copytree(built_hashing_script, tmp_path / "hashing-script"))
