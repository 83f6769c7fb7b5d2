"""The runtimes, one module each; a module is imported when its runtime is used."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from deploypipe.errors import DeployError, nearest
from deploypipe.runtimes.protocol import Form, Lowered, Runtime, Session

__all__ = ["NAMES", "Form", "Lowered", "Runtime", "Session", "get"]

NAMES = ("torchscript", "aotinductor", "onnxruntime", "executorch", "litert", "tflite-runtime")


def get(name: str) -> Runtime:
    """Returns a runtime by its name.

    Raises:
        DeployError: There is no such runtime.
    """
    if name not in NAMES:
        raise DeployError(f"There is no runtime '{name}'", nearest(name, list(NAMES)))
    return cast(Runtime, import_module(f"{__name__}.{name.replace('-', '_')}"))
