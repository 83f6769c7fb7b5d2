"""deploypipe: a trained PyTorch model with custom ops becomes verified bundles."""

from __future__ import annotations

import os
from typing import Any

# ONNX Runtime 1.32 starts a thread that calls its maker, as soon as it is imported; this process is not to talk to
# anybody, and its latencies are not to have that in them. Any value turns it off.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"
__all__ = ["Axis", "ClassOutput", "ImageInput", "ModelSpec", "OpSpec", "Processing", "Resize", "build", "load"]

_HOMES = {
    "Axis": "deploypipe.spec",
    "ClassOutput": "deploypipe.processing",
    "ImageInput": "deploypipe.processing",
    "ModelSpec": "deploypipe.spec",
    "OpSpec": "deploypipe.oplib.spec",
    "Processing": "deploypipe.processing",
    "Resize": "deploypipe.processing",
    "build": "deploypipe.pipeline",
    "load": "deploypipe.bundle.load",
}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used, so that `import deploypipe` costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'deploypipe' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
