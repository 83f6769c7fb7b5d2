"""Op libraries: built from C++ for the runtimes that are installed, and cached by content."""

from deploypipe.native.compile import build, describe, library
from deploypipe.native.sources import PROJECT, OpSource, digest, source
from deploypipe.native.toolchain import BINDINGS, abi, available

__all__ = [
    "BINDINGS",
    "PROJECT",
    "OpSource",
    "abi",
    "available",
    "build",
    "describe",
    "digest",
    "library",
    "source",
]
