"""The kernels under the address and undefined-behaviour sanitizers."""

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
