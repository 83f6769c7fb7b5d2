"""Ctrl-C in the middle of a build."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

COMMAND = Path(sys.executable).parent / "deploypipe"


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


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
    out, err = process.communicate()
    assert process.returncode == 130
    assert "Interrupted; nothing half-made was left behind" in err
    assert "Traceback" not in out + err
    assert list((home / "dist").rglob("*")) == []
    assert list((own_cache / "lower").iterdir()) == []
    assert [path for path in own_cache.rglob(".staging-*") if "native" not in path.parts] == []
