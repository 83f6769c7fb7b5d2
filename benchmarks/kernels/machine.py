"""What a measurement was taken on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path

_CPU = Path("/sys/devices/system/cpu/cpu0")
# Where the system does not say: (level, bytes).
_USUAL_CACHES = {1: 32 << 10, 2: 1 << 20, 3: 32 << 20}
_PACKAGES = ("deploypipe", "torch", "numpy", "scipy", "onnx", "onnxruntime", "executorch", "datasketch")


def cache_bytes() -> dict[int, int]:
    """Returns the sizes of the data caches by level."""
    found = {}
    for index in sorted(_CPU.glob("cache/index*")):
        if _read(index / "type") in {"Data", "Unified"}:
            found[int(_read(index / "level"))] = _bytes(_read(index / "size"))
    return found if found.keys() >= {1, 2, 3} else _USUAL_CACHES | found


def describe() -> dict[str, object]:
    """Returns the processor, the system, its load and the versions of what is compared."""
    return {
        "cpu": cpu_name(),
        "cores_of_this_process": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "caches": {f"L{level}": size for level, size in cache_bytes().items()},
        "governor": _read(_CPU / "cpufreq" / "scaling_governor") or None,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": {name: version for name in _PACKAGES if (version := _version(name))},
    }


def load_average() -> float:
    """Returns the processes that wanted to run, on average over the last minute."""
    return round(os.getloadavg()[0], 2)


def cpu_name() -> str:
    """Returns the name that the processor gives itself."""
    lines = _read(Path("/proc/cpuinfo")).splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _bytes(text: str) -> int:
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    return int(text[:-1]) * units[text[-1]] if text[-1] in units else int(text)


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
