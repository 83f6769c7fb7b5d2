"""Op libraries: built from C++ for the runtimes that are installed, and cached by content."""

from deploypipe.native.compile import describe, library, program
from deploypipe.native.sources import PROJECT, OpSource, digest, source
from deploypipe.native.standalone import Standalone
from deploypipe.native.toolchain import BINDINGS, abi, available

__all__ = [
    "BINDINGS",
    "PROJECT",
    "OpSource",
    "Standalone",
    "abi",
    "available",
    "describe",
    "digest",
    "library",
    "program",
    "source",
]
