"""The shared libraries of runtimes, which `dp-bench` opens bundles with."""

from __future__ import annotations

from pathlib import Path

from deploypipe.errors import DeployError
from deploypipe.native import toolchain

# Where the packages of Python have them; the backends of the other runtimes find theirs by themselves.
_PLACES = {
    "onnxruntime": ("onnxruntime", "capi/libonnxruntime.so.*"),
    "litert": ("ai_edge_litert", "libLiteRt.so"),
    "aotinductor": ("torch", "lib/libtorch_cpu.so"),
}


def installed(runtime: str) -> Path | None:
    """Returns the library of a runtime on this machine, or None where `dp-bench` needs no path of it.

    Raises:
        DeployError: The runtime is not installed.
    """
    if runtime not in _PLACES:
        return None
    package, pattern = _PLACES[runtime]
    folder = toolchain.package_folder(package, None)
    found = next(folder.glob(pattern), None) if folder else None
    if found is None:
        raise DeployError(f"The library of {runtime} is not on this machine", f"Run `pip install {package}`.")
    return found
