"""The ops of the project, loaded once."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploypipe import native

from .harness import Emulated, Kernels


@pytest.fixture(scope="session")
def kernels() -> Kernels:
    return Kernels(native.Standalone(native.library("standalone")))


@pytest.fixture(scope="session")
def arm(tmp_path_factory: pytest.TempPathFactory) -> Emulated:
    """A processor with the dot product."""
    return Emulated(native.program(platform="linux-aarch64"), tmp_path_factory.mktemp("arm"))


@pytest.fixture(scope="session")
def old_arm(tmp_path_factory: pytest.TempPathFactory) -> Emulated:
    """A processor without the dot product."""
    folder: Path = tmp_path_factory.mktemp("old-arm")
    return Emulated(native.program(platform="linux-aarch64"), folder, cpu="cortex-a53")
