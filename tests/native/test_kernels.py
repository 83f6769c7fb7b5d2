"""The kernels under the address and undefined-behaviour sanitizers, and scripts/headers."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from deploypipe import native
from deploypipe.native import toolchain

CSRC = native.PROJECT.directory


@pytest.mark.slow
def test_kernels_are_clean_under_the_sanitizers(tmp_path: Path) -> None:
    sources = [Path(__file__).with_name("sanitize.cpp"), CSRC / "ops.cpp", *(CSRC / "kernels").glob("*.cpp")]
    program = tmp_path / "sanitize"
    flags = ["-std=c++20", "-O1", "-ffp-contract=off", "-fsanitize=address,undefined,float-cast-overflow"]
    flags += ["-fno-sanitize-recover=all", f"-I{CSRC}", '-DOP_NAMESPACE="deploypipe"', "-o", str(program)]
    subprocess.run([toolchain.compiler() or "", *flags, *map(str, sources)], check=True)
    # The program that pytest runs in may preload libraries, which the sanitizer would stumble over.
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    done = subprocess.run([str(program)], capture_output=True, text=True, env=environment, check=False)
    assert (done.stdout, done.returncode) == ("clean\n", 0), done.stderr


def headers(prefix: Path, path: str) -> subprocess.CompletedProcess[str]:
    script = CSRC.parent / "scripts" / "headers"
    environment = {**os.environ, "PATH": path}
    command = ["/bin/bash", str(script), str(prefix)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_headers_that_are_there_are_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "include" / "onnxruntime"
    folder.mkdir(parents=True)
    (folder / "onnxruntime_c_api.h").write_text("mine")
    assert headers(tmp_path, os.environ["PATH"]).returncode == 0
    assert (folder / "onnxruntime_c_api.h").read_text() == "mine"


def test_headers_without_apt(tmp_path: Path) -> None:
    done = headers(tmp_path, str(tmp_path))
    assert done.returncode == 2
    assert "There is no apt on this machine" in done.stderr
    assert "ORT_INCLUDE_DIR" in done.stderr
