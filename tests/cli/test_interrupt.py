"""Ctrl-C in the middle of a build."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).parent / "deploypipe"


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A shell starts what it runs in the background with Ctrl-C ignored, and children inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_build_leaves_nothing_half_made(home: Path, own_cache: Path) -> None:
    process = subprocess.Popen(
        [str(COMMAND), "build", "my.py:slow", "--runtime", "torchscript", "--out", "dist"],
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_for(home / "tracing", process)
    assert list((own_cache / "lower").glob(".staging-*"))
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Interrupted; nothing half-made was left behind" in err
    assert "Traceback" not in out + err
    assert list((home / "dist").rglob("*")) == []
    assert list((own_cache / "lower").iterdir()) == []
    assert [path for path in own_cache.rglob(".staging-*") if "native" not in path.parts] == []
