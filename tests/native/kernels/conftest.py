"""The ops of the project, loaded once, and how hypothesis runs: the same examples each time."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest

from deploypipe import native

from .harness import Emulated, Kernels

# No test depends on time or on the examples of an earlier run.
hypothesis.settings.register_profile("kernels", derandomize=True, deadline=None, database=None, max_examples=60)
hypothesis.settings.load_profile("kernels")


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
