"""The project's ops as lanes: bare, in torch, in ONNX Runtime and in ExecuTorch, on chosen instruction sets."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.kernels.timing import Lane, Outputs, repeat
from deploypipe import native
from deploypipe.errors import DeployError
from deploypipe.native.standalone import Standalone

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

RUNTIMES = ("torch", "onnxruntime", "executorch")


def variant(name: str, isa: str | None) -> str:
    """Returns the name of a lane on another instruction set than the first."""
    return name if isa is None else f"{name} ({isa})"


class Own:
    """The op libraries of this process.

    Attributes:
        isas: The instruction sets to measure on, the one of the headline first.
    """

    def __init__(self, isas: Sequence[str] = ()) -> None:
        self.standalone = Standalone(native.library("standalone"))
        known = self.standalone.isas
        if unknown := [isa for isa in isas if isa not in known]:
            raise DeployError(f"This processor has no instruction set '{unknown[0]}'", f"It has {', '.join(known)}.")
        self.isas = tuple(isas) or tuple(dict.fromkeys(isa for isa in (known[-1], "avx2") if isa in known))
        self._setters: dict[str, Callable[[bytes], int]] = {}

    def library(self, runtime: str) -> Path:
        """Returns the op library for a runtime; from now on it follows the instruction set of the lanes."""
        path = native.library(runtime)
        if runtime not in self._setters:
            self._setters[runtime] = _loaded(runtime, path).deploypipe_set_isa
        return path

    def use(self, isa: str) -> None:
        """Chooses the instruction set of all libraries."""
        self.standalone.use_isa(isa)
        for set_isa in self._setters.values():
            set_isa(isa.encode())

    def lanes(
        self, name: str, run: Callable[[int], object], result: Callable[[], Outputs], group: str = "", **fields: Any
    ) -> list[Lane]:
        """Returns the same work as one lane for each instruction set."""
        return [
            Lane(
                variant(name, isa if n else None),
                run,
                result,
                group,
                prepare=functools.partial(self.use, isa),
                **fields,
            )
            for n, isa in enumerate(self.isas)
        ]

    def kernel(
        self,
        name: str,
        op: str,
        inputs: Sequence[Array],
        attributes: Mapping[str, float] | None = None,
        group: str = "",
    ) -> list[Lane]:
        """Returns the bare compute, called in a loop of C++."""
        call = self.standalone.prepare(op, [np.ascontiguousarray(array) for array in inputs], attributes)

        def result() -> Outputs:
            call()
            return call.outputs

        return self.lanes(name, lambda times: call(repeats=times), result, group)

    def torch_op(self, name: str, op: str, arguments: Sequence[object], group: str = "") -> list[Lane]:
        """Returns the op in torch, called from Python."""
        self.library("torch")
        call = functools.partial(getattr(_torch_ops(), op).default, *map(_tensor, arguments))
        return self.lanes(name, inference(call), functools.partial(tensors, call), group)


def inference(call: Callable[[], object]) -> Callable[[int], object]:
    """Makes a function that calls another so many times, while torch records nothing for gradients."""
    import torch

    loop = repeat(call)

    def run(times: int) -> None:
        with torch.inference_mode():
            loop(times)

    return run


def tensors(call: Callable[[], Any]) -> Outputs:
    """Returns the outputs of a call of torch as arrays."""
    import torch

    with torch.inference_mode():
        outputs = call()
    flat = [outputs] if isinstance(outputs, torch.Tensor) else outputs
    return [output.numpy() for output in flat]


def _tensor(value: object) -> object:
    import torch

    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value


def _torch_ops() -> Any:
    import torch

    import deploypipe.ops  # registers them

    return getattr(torch.ops, deploypipe.ops.LIBRARY.namespace)


def _loaded(runtime: str, path: Path) -> Any:
    """Loads a library as its runtime does; a second load gives the one that is there."""
    if runtime == "torch":
        _torch_ops()
    if runtime == "executorch":
        import_module("executorch.extension.pybindings._portable_lib")
    return ctypes.CDLL(str(path))
