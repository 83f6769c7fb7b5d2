"""The process of tflite-runtime."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deploypipe import environments
from deploypipe.runtimes import tflite_runtime
from deploypipe.runtimes.tflite.legacy_process import LegacyProcess


@pytest.fixture
def legacy() -> Iterator[LegacyProcess]:
    """A fresh process of tflite-runtime; without its environment the test fails, it is not skipped."""
    found = environments.find(tflite_runtime.ENVIRONMENT)
    assert found, f"scripts/bootstrap dev installs it. {environments.cure(tflite_runtime.ENVIRONMENT)}"
    process = LegacyProcess(found.python)
    yield process
    process.close()
