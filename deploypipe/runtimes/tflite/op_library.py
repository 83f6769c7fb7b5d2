"""Op libraries for LiteRT, loaded through ctypes."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from ctypes import c_char_p, c_void_p
from dataclasses import dataclass
from pathlib import Path

from deploypipe import installed
from deploypipe.errors import DeployError
from deploypipe.runtimes.tflite import c_api


@dataclass(frozen=True)
class OpLibrary:
    """A loaded library.

    Attributes:
        name: Its file.
        register: Gives the options of a model the kernels that it needs: (options, model, LiteRT); returns an error.
        error: Returns the first error of a kernel in this thread since it was last asked for.
    """

    name: str
    register: Callable[[int, int, int], bytes | None]
    error: Callable[[], bytes | None]


@functools.cache
def load(path: Path) -> OpLibrary:
    """Loads an op library.

    Raises:
        DeployError: It is none, or not for LiteRT.
    """
    try:
        library = ctypes.CDLL(str(path.resolve()))
        register, error = library.deploypipe_register_litert, library.deploypipe_litert_error
    except (OSError, AttributeError) as failure:
        raise DeployError(
            f"The op library {path.name} does not load in LiteRT {installed.version(c_api.DISTRIBUTION)}: {failure}",
            "Build the bundle again on this machine.",
        ) from failure
    register.argtypes = (c_void_p, c_void_p, c_void_p)
    register.restype = error.restype = c_char_p
    error.argtypes = ()
    return OpLibrary(path.name, register, error)
