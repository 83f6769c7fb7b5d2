"""The kernels of every instruction set under the address and undefined-behaviour sanitizers.

Shapes are searched by hypothesis in the other tests: libFuzzer would need clang.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from deploypipe import native
from deploypipe.native import toolchain

from .harness import Kernels

FLAGS = "-O1 -g1 -fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=all"


def build(folder: Path) -> Path:
    """Builds the program as op libraries are built, with other flags."""
    settings = {
        "CMAKE_MAKE_PROGRAM": toolchain.tool("ninja"),
        "CMAKE_CXX_COMPILER": toolchain.compiler(),
        "CMAKE_CXX_FLAGS": FLAGS,
        "CMAKE_BUILD_TYPE": "None",
        "CSRC": native.PROJECT.directory,
        "OP_BINDINGS": "standalone",
        "HIGHWAY_INCLUDE_DIR": toolchain.highway_headers(),
    }
    cmake = toolchain.tool("cmake") or "cmake"
    source = Path(__file__).with_name("sanitize")
    defines = [f"-D{name}={value}" for name, value in settings.items()]
    subprocess.run([cmake, "-G", "Ninja", "-S", str(source), "-B", str(folder), *defines], check=True)
    subprocess.run([cmake, "--build", str(folder), "--target", "sanitize"], check=True)
    return folder / "sanitize"


@pytest.mark.slow
def test_kernels_are_clean_under_the_sanitizers(kernels: Kernels, tmp_path: Path) -> None:
    program = build(tmp_path)
    # The program that pytest runs in may preload libraries, which the sanitizer would stumble over.
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    done = subprocess.run([str(program)], capture_output=True, text=True, env=environment, check=False)
    assert (done.stdout, done.returncode) == (" ".join([*kernels.isas, "clean\n"]), 0), done.stderr
