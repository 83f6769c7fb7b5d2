"""What importing the package does to a process."""

from __future__ import annotations

import subprocess
import sys

_COUNTING = """
import os
import numpy
import deploypipe
before = len(os.listdir("/proc/self/task"))
import onnxruntime
onnxruntime.SessionOptions()
print(len(os.listdir("/proc/self/task")) - before)
"""


def test_onnxruntime_starts_no_thread_that_phones_home() -> None:
    """Its telemetry starts with the import; without the variable that the package sets this is 1."""
    done = subprocess.run([sys.executable, "-c", _COUNTING], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"


def test_the_import_costs_nothing() -> None:
    code = "import sys, deploypipe; print([name for name in ('torch', 'numpy', 'onnxruntime') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
