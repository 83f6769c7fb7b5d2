"""scripts/headers: what is there is left alone, and what is missing is said with its cure."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from deploypipe import native

SCRIPT = native.PROJECT.directory.parent / "scripts" / "headers"


def headers(prefix: Path, path: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": path}
    command = ["/bin/bash", str(SCRIPT), str(prefix)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def place(prefix: Path, header: str) -> Path:
    file = prefix / "include" / header
    file.parent.mkdir(parents=True)
    file.write_text("mine")
    return file


def test_headers_that_are_there_are_left_alone(tmp_path: Path) -> None:
    files = [place(tmp_path, "onnxruntime/onnxruntime_c_api.h"), place(tmp_path, "hwy/highway.h")]
    assert headers(tmp_path, str(tmp_path)).returncode == 0
    assert [file.read_text() for file in files] == ["mine", "mine"]


def test_only_those_of_onnx_runtime_are_missing(tmp_path: Path) -> None:
    place(tmp_path, "hwy/highway.h")
    done = headers(tmp_path, str(tmp_path))
    if Path("/usr/include/onnxruntime/onnxruntime_c_api.h").exists():  # of the system's own package
        assert done.returncode == 0
        return
    assert done.returncode == 3
    assert "There is no apt on this machine" in done.stderr
    assert "ORT_INCLUDE_DIR" in done.stderr
