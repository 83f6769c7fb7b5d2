"""A bundle that needs no runtime, and the C SDK that opens it through a backend of the tests."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import deploypipe
from deploypipe.bundle import integrity
from deploypipe.bundle import manifest as manifests
from deploypipe.bundle.manifest import Manifest
from deploypipe.native import sdk as sdks
from deploypipe.native import toolchain
from deploypipe.native.sources import PROJECT

from .capi import Sdk
from .running import Program, host_program

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def tree() -> Path:
    """The installed SDK."""
    return sdks.tree()


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory, tree: Path) -> Program:
    """A program over the C API, for this machine."""
    return host_program(tmp_path_factory.mktemp("program"), tree)


@pytest.fixture(scope="session")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of bundles that nobody changes."""
    return tmp_path_factory.mktemp("dist")


@pytest.fixture(scope="session")
def echo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of libdeploypipe_echo.so, a backend whose runtime doubles its input."""
    source, folder = PROJECT.directory / "sdk", tmp_path_factory.mktemp("backends")
    flags = ["-std=c++20", "-O1", "-shared", "-fPIC", "-fvisibility=hidden", "-Wall", "-Werror"]
    parts = [HERE / "echo.cpp", source / "tensor.cpp", f"-I{source}", f"-I{source / 'include'}"]
    version = f'-DDP_VERSION="{deploypipe.__version__}"'
    command = [toolchain.compiler(), *flags, version, *parts, "-o", folder / "libdeploypipe_echo.so"]
    subprocess.run([str(word) for word in command], check=True)
    return folder


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """The folder in which the SDK makes its temporary ones; it must be empty when all models are closed."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


@pytest.fixture
def sdk(tree: Path, echo_folder: Path, scratch: Path) -> Sdk:
    return Sdk.of(tree, backend_folder=echo_folder, temporary_folder=scratch)


def described(**changes: Any) -> dict[str, Any]:
    """Returns the manifest of a model `x float32[batch,3] -> y float32[batch,3]` for the runtime `echo`."""
    tensor = {"dtype": "float32", "shape": ["batch", 3]}
    table: dict[str, Any] = {
        "deploypipe_bundle": 1,
        "model": "echo",
        "target": "host",
        "platform": toolchain.host_platform(),
        "request": {"runtime": "echo"},
        "runtime": {"name": "echo", "package": "echo", "min_version": "2.5", "built_with": "2.5.1"},
        "artifact": "model.echo",
        "ops": [],
        "inputs": [{"name": "x", **tensor}],
        "outputs": [{"name": "y", **tensor}],
        "axes": {"batch": {"min": 1, "max": 64}},
        "limits": {"normalized_error": 1e-4, "unequal_share": 1e-4, "accuracy_drop": 0.5},
        "sizes": {},
        "files": {},
        "built_by": {},
        "key": "0",
    }
    return table | changes


def write_bundle(folder: Path, orders: str = "double", offset: float = 0, **changes: Any) -> Path:
    """Writes a bundle.

    Args:
        folder: Is made.
        orders: What the artifact tells the backend of the tests.
        offset: Is added to the outputs that the golden vectors expect.
        changes: Fields of the manifest.
    """
    (folder / "lib").mkdir(parents=True)
    (folder / "model.echo").write_text(orders)
    (folder / "lib" / "data.bin").write_bytes(bytes(range(256)) * 300)
    values = {number: np.arange(3 * number, dtype="float32").reshape(number, 3) for number in (1, 5)}
    golden = {f"{i}.inputs.x": array for i, array in enumerate(values.values())}
    golden |= {f"{i}.outputs.y": 2 * array + np.float32(offset) for i, array in enumerate(values.values())}
    save_file(golden, folder / "golden.safetensors")
    files, sizes = integrity.listing(folder)
    table = described(**{"files": files, "sizes": sizes, **changes})
    manifests.write(Manifest.model_validate(table), folder)
    return folder


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle for the runtime `echo`, to do with as one likes."""
    return write_bundle(tmp_path / "bundle")
