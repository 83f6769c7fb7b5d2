"""What readelf says of shared libraries."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

# What the NDK promises to be on every device.
ON_ANDROID = {"libc.so", "libm.so", "libdl.so", "liblog.so", "libandroid.so", "libz.so"}


def _said(option: str, library: Path) -> str:
    done = subprocess.run(["readelf", "-W", option, library], capture_output=True, text=True, check=True)
    return done.stdout


def machine(library: Path) -> str:
    """Returns the processor that it is for."""
    found = re.search(r"Machine: +(.+)", _said("-h", library))
    return found.group(1).strip() if found else ""


def needed(library: Path) -> set[str]:
    """Returns the names of the libraries that it needs."""
    return set(re.findall(r"\(NEEDED\).*\[(.+)\]", _said("-d", library)))


def alignments(library: Path) -> list[int]:
    """Returns the alignment of each segment that is loaded, in bytes."""
    return [int(line.split()[-1], 16) for line in _said("-l", library).splitlines() if line.strip().startswith("LOAD")]


def exports(library: Path) -> set[str]:
    """Returns the names of the functions that others can call."""
    return set(re.findall(r"FUNC +(?:GLOBAL|WEAK) +DEFAULT +\d+ (\w+)", _said("--dyn-syms", library)))


def glibc_versions(library: Path) -> set[str]:
    """Returns the versions of glibc that it names: none where the NDK has built it."""
    return set(re.findall(r"GLIBC_[\d.]+", _said("-V", library)))
