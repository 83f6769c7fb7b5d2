"""What a runtime takes for calling an op: the op inside it, less a trivial program and the bare kernel.

A kernel that is called in a loop finds its weights in the nearest caches, of which Python and a runtime take a part:
where the weights nearly fill a cache, that counts as the runtime's time. So the trivial program and the kernel are also
called in turns; Python's call of the kernel then takes a part of the caches too, and the figure is the lower one.
"""

from __future__ import annotations

import dataclasses
import functools
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.kernels import cws_data, lltm_data, onnx_models
from benchmarks.kernels.case import Case, Comparison, Kind
from benchmarks.kernels.lltm_cases import tax_arguments
from benchmarks.kernels.own import Own, inference, tensors
from benchmarks.kernels.timing import Lane, repeat

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

# Microseconds, for the op itself.
_ASKED = 10.0
_OUTPUTS = {"cws_dense": ("index", "t"), "lltm_packed": ("output", "h", "c"), "lltm_int8": ("output", "h", "c")}


def cws(own: Own, features: int = 784, hashes: int = 256) -> Case:
    """One row of dense consistent weighted sampling."""
    data = cws_data.draw(1, features, hashes)
    arguments = [data.rows, hashes, data.dense_table()]
    return _case(own, f"cws_dense D={features}, k={hashes}, B=1", "cws_dense", arguments, {"hashes": hashes})


def lltm(own: Own, int8: bool, hidden: int = 128) -> Case:
    """One sequence of the layer, in float32 or on int8 weights."""
    op, arguments = tax_arguments(lltm_data.draw(1, hidden), int8)
    return _case(own, f"{op} H={hidden}, B=1", op, arguments, {})


def _case(own: Own, work: str, op: str, arguments: Sequence[object], attributes: dict[str, int]) -> Case:
    arrays = [argument for argument in arguments if isinstance(argument, np.ndarray)]
    feed = arrays[0]
    call = _torch_call(own, op, arguments)
    *executorch_op, executorch_trivial = _executorch(own, op, arguments)
    kernel = own.kernel("kernel", op, arrays, attributes)
    nothing = own.standalone.prepare("square", [np.zeros(1, np.float32)])
    trivial = [_torch_trivial(feed), onnx_models.trivial_lane(feed), executorch_trivial]
    lanes = [
        *map(_first, kernel),
        Lane("Python's call of a kernel", repeat(nothing)),
        *trivial,
        *(lane for each in trivial for lane in own.lanes(f"{each.name}, kernel", _in_turns(each, kernel[0]), list)),
        *own.lanes("torch op", inference(call), lambda: tensors(call)[:1], "first"),
        *own.lanes("torch loop", _scripted(op, arguments), lambda: tensors(call)[:1], "first"),
        *onnx_models.op_lanes(own, "ORT op", op, feed, arrays[1:], _OUTPUTS[op], "first", 1, **attributes),
        *executorch_op,
    ]
    return Case(lanes, _lines(work))


def _torch_trivial(feed: Array) -> Lane:
    import torch

    return Lane("torch trivial", inference(torch.from_numpy(feed).neg))


def _in_turns(trivial: Lane, kernel: Lane) -> Callable[[int], object]:
    def both() -> None:
        trivial.run(1)
        kernel.run(1)

    return repeat(both)


def _first(lane: Lane) -> Lane:
    """Compares the first output only: the others would cost a conversion to Python each."""
    return dataclasses.replace(lane, result=lambda: lane.result()[:1] if lane.result else [], group="first")


def _lines(work: str) -> list[Comparison]:
    def tax(runtime: str, ours: str, trivial: str) -> list[Comparison]:
        turns, called = f"{trivial}, kernel", "Python's call of a kernel"
        less = f"a trivial program in {runtime} and the bare kernel"
        return [
            Comparison(work, less, ours, ("kernel",), _ASKED, Kind.TAX, trivial=trivial),
            Comparison(work, f"{less}, in turns", ours, (turns,), None, Kind.TURNS, trivial=called),
        ]

    def call(against: str, ours: str, less: tuple[str, ...] = ()) -> Comparison:
        return Comparison(work, against, ours, less, None, Kind.CALL)

    return [
        *tax("torch", "torch op", "torch trivial"),
        *tax("ONNX Runtime", "ORT op", "ORT trivial"),
        *tax("ExecuTorch", "ExecuTorch op", "ExecuTorch trivial"),
        call("the bare kernel, in a loop of TorchScript", "torch loop", ("kernel",)),
        call("Python's call of torch", "torch trivial"),
        call("Python's session.run in ONNX Runtime", "ORT trivial"),
        call("Python's forward in ExecuTorch", "ExecuTorch trivial"),
    ]


def _torch_call(own: Own, op: str, arguments: Sequence[object]) -> Callable[[], Any]:
    import torch

    own.library("torch")
    overload = getattr(torch.ops.deploypipe, op).default
    return functools.partial(overload, *_tensors(arguments))


def _tensors(arguments: Sequence[object]) -> list[object]:
    import torch

    return [torch.from_numpy(each) if isinstance(each, np.ndarray) else each for each in arguments]


def _scripted(op: str, arguments: Sequence[object]) -> Callable[[int], object]:
    """Returns a loop of TorchScript over the op, so that Python is not in it."""
    import torch

    names = [f"a{number}" for number in range(len(arguments))]
    # A list of inputs, so that no call is the same as another to the optimizer.
    kinds = ["List[Tensor]", *("Tensor" if isinstance(each, np.ndarray) else "int" for each in arguments[1:])]
    head = ", ".join(f"{name}: {kind}" for name, kind in zip(names, kinds, strict=True))
    calls = f"torch.ops.deploypipe.{op}({', '.join(['x', *names[1:]])})"
    source = f"""
def loop({head}) -> int:
    kept = 0
    for x in a0:
        kept += {calls}[0].size(0)
    return kept
"""
    script: Any = torch.jit.CompilationUnit(source)
    first, *rest = _tensors(arguments)

    def run(times: int) -> None:
        with torch.inference_mode():
            script.loop([first] * times, *rest)

    return run


def _executorch(own: Own, op: str, arguments: Sequence[object]) -> list[Lane]:
    """Returns a program of the op, whose first input is fed, and a program of one addition."""
    import torch

    own.library("torch")
    own.library("executorch")
    feed, *rest = _tensors(arguments)
    overload = getattr(torch.ops.deploypipe, op).default

    class OneOp(torch.nn.Module):
        """The op with all but its first input held."""

        def __init__(self) -> None:
            super().__init__()
            for number, value in enumerate(rest):
                if isinstance(value, torch.Tensor):
                    self.register_buffer(f"held{number}", value)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            held = [getattr(self, f"held{number}", value) for number, value in enumerate(rest)]
            first: torch.Tensor = overload(x, *held)[0]
            return first

    class Trivial(torch.nn.Module):
        """The least that a program can do with its input."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.neg()

    run, trivial = _program(OneOp(), feed), _program(Trivial(), feed)
    return [
        *own.lanes("ExecuTorch op", repeat(run), lambda: [run()[0].numpy()], "first"),
        Lane("ExecuTorch trivial", repeat(trivial)),
    ]


def _program(module: Any, feed: Any) -> Callable[[], Any]:
    """Exports a module to ExecuTorch, and returns a function that runs it in one thread."""
    import torch
    from executorch.exir import ExecutorchBackendConfig, to_edge
    from executorch.extension.pybindings import _portable_lib

    from deploypipe.runtimes.executorch import CONSTANT_ALIGNMENT

    config = ExecutorchBackendConfig(constant_tensor_alignment=CONSTANT_ALIGNMENT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = to_edge(torch.export.export(module, (feed,))).to_executorch(config)
    _portable_lib._unsafe_reset_threadpool(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.pte"
        path.write_bytes(program.buffer)
        loaded = _portable_lib._load_for_executorch(str(path))  # maps the file, as the project's runtime does
    return functools.partial(loaded.forward, (feed,))
