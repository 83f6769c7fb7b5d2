"""What frameworks print goes to a log."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploypipe import noise

PROGRAM = """
import os, sys
from pathlib import Path
from deploypipe import noise

print("before")
with noise.logged(Path(sys.argv[1])):
    print("from Python", flush=True)
    os.write(2, b"an error from C\\n")
print("afterwards")
"""


def test_output_of_python_and_of_c_goes_to_the_log(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "build.log"
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(log)], capture_output=True, text=True, check=True)
    assert log.read_text().splitlines() == ["from Python", "an error from C"]
    assert (done.stdout, done.stderr) == ("before\nafterwards\n", "")


def test_output_comes_back_after_an_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), noise.logged(tmp_path / "log"):
        raise KeyboardInterrupt
    os.write(1, b"heard\n")
    assert capfd.readouterr().out == "heard\n"


def test_without_a_log_output_is_left_alone(capfd: pytest.CaptureFixture[str]) -> None:
    with noise.logged(None):
        os.write(1, b"heard\n")
    assert capfd.readouterr().out == "heard\n"


def test_no_descriptor_is_lost(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        with noise.logged(tmp_path / "log"):
            pass
    assert len(list(Path("/proc/self/fd").iterdir())) == before
