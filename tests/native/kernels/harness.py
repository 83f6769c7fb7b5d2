"""Runs ops on every instruction set of this machine, and on those of other processors in an emulator."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deploypipe.native import Standalone

Array = np.ndarray[Any, Any]
Outputs = tuple[Array, ...]

_GUARD = 64
_FILL = 0xA5


class Placed:
    """An array so many elements away from a multiple of 64 bytes, with bytes around it that nobody may write."""

    def __init__(self, shape: Sequence[int], dtype: Any, shift: int) -> None:
        kind = np.dtype(dtype)
        size = int(np.prod(shape)) * kind.itemsize
        memory = np.full(size + 3 * _GUARD + shift * kind.itemsize, _FILL, np.uint8)
        start = -memory.ctypes.data % 64 + _GUARD + shift * kind.itemsize
        self.array = memory[start : start + size].view(kind).reshape(shape)
        self._around = memory[:start], memory[start + size :]

    @classmethod
    def copy(cls, array: Array, shift: int) -> Array:
        """Returns the values at a place of that kind."""
        made = cls(array.shape, array.dtype, shift).array
        made[...] = array
        return made

    def intact(self) -> bool:
        """Whether the bytes around still are what they were."""
        return all(bool((part == _FILL).all()) for part in self._around)


class Kernels:
    """The ops of the project on this machine."""

    def __init__(self, ops: Standalone) -> None:
        self._ops = ops
        self._seeds = itertools.count(2**40)
        self.isas = ops.isas

    def run(
        self,
        isa: str,
        name: str,
        inputs: Sequence[Array],
        attributes: Mapping[str, float] | None = None,
        threads: int = 1,
        shift: int = 0,
    ) -> Outputs:
        """Runs an op on one set, with every tensor `shift` elements away from an aligned place.

        The outputs start as garbage, so that an element that is not written shows.
        """
        self._ops.use_isa(isa)
        moved = [Placed.copy(array, shift) for array in inputs]
        like = self._ops.prepare(name, moved, attributes).outputs
        placed = [Placed(each.shape, each.dtype, shift) for each in like]
        self._ops.prepare(name, moved, attributes, [each.array for each in placed])(threads)
        assert all(each.intact() for each in placed), f"{name} on {isa} writes beyond an output"
        for before, after in zip(inputs, moved, strict=True):
            assert before.tobytes() == after.tobytes(), f"{name} on {isa} writes into an input"
        return tuple(each.array for each in placed)

    def plain(self, name: str, inputs: Sequence[Array], attributes: Mapping[str, float] | None = None) -> Outputs:
        """Runs an op on whatever set is in use."""
        return self._ops.run(name, inputs, attributes)

    def forget_tables(self) -> None:
        """Makes so many small tables from seeds that no other is kept."""
        for seed in itertools.islice(self._seeds, 40):
            self.plain("cws_generated", [np.ones((1, 1), np.float32), np.array([seed], np.int64)], {"hashes": 1})

    def on_every_set(
        self, name: str, inputs: Sequence[Array], attributes: Mapping[str, float] | None = None, **how: int
    ) -> Iterator[tuple[str, Outputs]]:
        """Yields the name of each set and what it gives; tables from seeds are drawn by each set anew."""
        for isa in self.isas:
            if name == "cws_generated":
                self.forget_tables()
            yield isa, self.run(isa, name, inputs, attributes, **how)


class Emulated:
    """The ops of the project on another processor, by the static program run_op."""

    def __init__(self, program: Path, folder: Path, cpu: str = "max", machine: str = "aarch64") -> None:
        self._command = [f"qemu-{machine}", "-cpu", cpu, str(program)]
        self._folder = folder

    def run(
        self, isa: str | None, name: str, inputs: Sequence[Array], attributes: Mapping[str, float], like: Outputs
    ) -> Outputs:
        """Runs an op on one set, or on the one that the program chooses; `like` has the shapes of the outputs."""
        file, result = self._folder / "in", self._folder / "out"
        with file.open("wb") as out:
            for array in (np.array([*attributes.values()], np.float64), *inputs, *like):
                out.write(np.array([array.ndim, *array.shape, array.nbytes], np.int64).tobytes() + array.tobytes())
        done = self.call(name, str(file), str(result), *([isa] if isa else []))
        assert done.returncode == 0, done.stderr
        return tuple(_read(result.read_bytes(), like))

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Calls the program."""
        return subprocess.run([*self._command, *words], capture_output=True, text=True, check=False)


def _read(data: bytes, like: Outputs) -> Iterator[Array]:
    start = 0
    for array in like:
        start += 8 * (array.ndim + 2)
        yield np.frombuffer(data, array.dtype, array.size, start).reshape(array.shape)
        start += array.nbytes
