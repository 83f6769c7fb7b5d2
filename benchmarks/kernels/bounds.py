"""Physical bounds: the work of a kernel over what this machine was seen to do at most, in the same rounds.

The probes are lanes like any other, so a neighbour that takes half of the memory bandwidth away takes it from the
kernel and from its bound.
"""

from __future__ import annotations

import ctypes
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.kernels import machine
from benchmarks.kernels.stats import Array, median
from benchmarks.kernels.timing import Lane
from deploypipe import cache, fingerprint
from deploypipe.errors import DeployError
from deploypipe.native import toolchain

_SOURCE = Path(__file__).with_name("probes.cpp")
_LINE = 64

READS = {"L1": "L1 read bandwidth", "L2": "L2 read bandwidth", "L3": "L3 read bandwidth", "DRAM": "DRAM read bandwidth"}
MULTIPLY = "FMA peak"
VECTOR = "vector peak"
BYTES = "byte product peak"


@dataclass(frozen=True)
class Need:
    """What the work needs at least of one resource.

    Attributes:
        resource: READS[level] in bytes, MULTIPLY in float operations, VECTOR in float instructions times their lanes,
            BYTES in operations on bytes.
        amount: Of one run of the work.
    """

    resource: str
    amount: float


@dataclass(frozen=True)
class Bound:
    """The time that one resource alone needs.

    Attributes:
        resource: The one that needs longest.
        peak: What the machine did of it in these rounds, in units of 1e9 per second.
        microseconds: Of one run of the work.
    """

    resource: str
    peak: float
    microseconds: float


def level(size: int) -> int:
    """Returns the number of the nearest cache that holds so many bytes and leaves some room; 4 for the memory."""
    sizes = machine.cache_bytes()
    return next((number for number in (1, 2, 3) if size <= 0.9 * sizes[number]), 4)


def read(size: int, passes: int = 1) -> Need:
    """Returns the need to read bytes so many times, from the nearest memory that holds them.

    From one pass to the next, the cache before that memory can keep as much as fits into it.
    """
    number = level(size)
    kept = machine.cache_bytes()[number - 1] if number > 1 else 0
    return Need(tuple(READS.values())[number - 1], size + (passes - 1) * max(0, size - kept))


class Probes:
    """The probes of one instruction set."""

    def __init__(self, isa: str) -> None:
        library = ctypes.CDLL(str(_library()))
        self._isa = isa.encode()
        self._calls = {name: getattr(library, f"probe_{name}") for name in ("read", "multiply", "bytes")}
        for call in self._calls.values():
            call.restype = ctypes.c_double
        self._buffers: list[np.ndarray[Any, Any]] = []
        self._work: dict[str, float] = {}

    def lanes(self, needs: tuple[Need, ...]) -> list[Lane]:
        """Returns one lane for each resource that is needed, where this instruction set has a probe for it."""
        names = dict.fromkeys("FMA peak" if need.resource == VECTOR else need.resource for need in needs)
        made = [self._lane(name) for name in names]
        return [lane for lane in made if self._work[lane.name]]

    def bound(self, needs: tuple[Need, ...], samples: dict[str, Array]) -> Bound | None:
        """Returns the bound that is the highest by the medians of the probes; None where nothing could be probed."""
        bounds = [bound for need in needs if (bound := self._bound(need, samples))]
        return max(bounds, key=lambda bound: bound.microseconds, default=None)

    def _bound(self, need: Need, samples: dict[str, Array]) -> Bound | None:
        probe = MULTIPLY if need.resource == VECTOR else need.resource
        if probe not in samples:
            return None
        # A multiply-add is one instruction and two operations.
        work = self._work[probe] / (2 if need.resource == VECTOR else 1)
        per_microsecond = work / median(samples[probe])
        return Bound(need.resource, per_microsecond / 1e3, need.amount / per_microsecond)

    def _lane(self, resource: str) -> Lane:
        if resource in {MULTIPLY, BYTES}:
            call = self._calls["multiply" if resource == MULTIPLY else "bytes"]
            arguments: tuple[Any, ...] = (self._isa,)
        else:
            call, size = self._calls["read"], _probe_size(resource)
            arguments = (self._isa, ctypes.c_void_p(self._aligned(size)), ctypes.c_int64(size))

        def run(times: int) -> None:
            self._work[resource] = call(*arguments, ctypes.c_int64(times))

        run(1)
        return Lane(resource, run)

    def _aligned(self, size: int) -> int:
        """Returns the address of so many bytes that begin with a line of the cache."""
        self._buffers.append(np.ones(size + _LINE, np.uint8))
        start: int = self._buffers[-1].ctypes.data
        return (start + _LINE - 1) // _LINE * _LINE


def _probe_size(resource: str) -> int:
    """Returns how many bytes to read, so that they lie in one memory and not in the one above it."""
    sizes = machine.cache_bytes()
    if resource == READS["DRAM"]:
        return 4 * sizes[3]
    number = int(resource[1])
    return sizes[number] // 2 if number < 3 else min(sizes[3] // 4, 4 * sizes[2])


def _library() -> Path:
    compiler = toolchain.compiler()
    if compiler is None:
        raise DeployError("There is no C++ compiler for the probes of this machine", "Install one, or set CXX.")

    def make(into: Path) -> None:
        flags = ["-std=c++20", "-O2", "-shared", "-fPIC"]
        command = [compiler, *flags, "-o", str(into / "probes.so"), str(_SOURCE)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise DeployError(f"The probes do not compile:\n{done.stderr}", "Set CXX to another compiler.")

    key = fingerprint.digest(fingerprint.file_digest(_SOURCE), compiler, toolchain.compiler_version(compiler))
    return cache.stage("probes", key, make)[0] / "probes.so"
