"""Imports torchvision, also beside a CPU build of torch, for which its wheel is not made."""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from deploypipe.errors import DeployError

# torchvision declares fake kernels for these at import; its library, which would define them, needs CUDA.
_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def import_torchvision() -> Any:
    """Imports torchvision with its `models` and `datasets`.

    Raises:
        DeployError: It is not installed.
    """
    if "torchvision" not in sys.modules:
        if importlib.util.find_spec("torchvision") is None:
            raise DeployError("torchvision is not installed", "Run `pip install 'deploypipe[zoo]'`.")
        if not _library_loads():
            _declare_schemas()
    return import_module("torchvision")


def _library_loads() -> bool:
    """Tells whether torchvision's compiled ops can be used with the installed torch."""
    import_module("torch")  # its libraries must be in the process first
    spec = importlib.util.find_spec("torchvision")
    folders = [Path(folder) for folder in (spec and spec.submodule_search_locations) or ()]
    libraries = [path for folder in folders for path in folder.glob("_C*.so")]
    try:
        return bool([ctypes.CDLL(str(path)) for path in libraries])
    except OSError:
        return False


@functools.cache
def _declare_schemas() -> Any:
    """Declares the two ops; the library object is kept alive by the cache."""
    library: Any = import_module("torch").library.Library("torchvision", "DEF")
    for schema in _SCHEMAS:
        library.define(schema)
    return library
