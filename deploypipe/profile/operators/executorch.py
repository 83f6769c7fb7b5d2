"""ExecuTorch: its runtime is stepped through the instructions, since the wheel's has no profiler of its own."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import POINTER, c_char_p, c_int32, c_int64, c_size_t, c_void_p
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploypipe.errors import DeployError
from deploypipe.profile.operators import kernels
from deploypipe.profile.operators.kernels import Call
from deploypipe.profile.operators.trace import Event, Inference, Kind, Recording

if TYPE_CHECKING:
    import numpy as np

    from deploypipe.bundle.load import Model

    Array = np.ndarray[Any, Any]

# Runs before those that are kept.
_WARM_UP = 10
# ExecuTorch's numbers of types.
_TYPES = {"uint8": 0, "int8": 1, "int32": 3, "int64": 4, "float32": 6, "float64": 7, "bool": 11}


class _Array(ctypes.Structure):
    """`Array` of csrc/profile/executorch_steps.cpp."""

    _fields_ = (("data", c_void_p), ("shape", POINTER(c_int32)), ("rank", c_int32), ("type", c_int32))


def recorded(model: Model, inputs: Sequence[Array], runs: int) -> Recording:
    """Steps through some runs, in one thread."""
    artifact = model.path / model.manifest.artifact
    ops = {op.name for op in model.manifest.ops}
    plan = _parsed(artifact).program.execution_plan[0]
    named = [_named(plan, each.instr_args, ops) for each in _instructions(plan)]
    ends = _stepped(artifact, inputs, _WARM_UP + runs, len(named))[_WARM_UP:]
    return Recording(
        "ExecuTorch, stepped through its instructions, one thread",
        tuple(_inference(named, [each / 1e3 for each in run]) for run in ends.tolist()),
        "What runs inside a delegate cannot be seen. The first instruction's time includes reading the clock.",
    )


def _parsed(artifact: Path) -> Any:
    from executorch.exir._serialize._program import deserialize_pte_binary

    return deserialize_pte_binary(artifact.read_bytes())


def _instructions(plan: Any) -> Sequence[Any]:
    if len(plan.chains) != 1:
        raise DeployError("The program has several chains of instructions", "Profile it for another runtime.")
    found: Sequence[Any] = plan.chains[0].instructions
    return found


def _named(plan: Any, instruction: Any, ops: set[str]) -> tuple[str, Kind]:
    """Returns the name of what an instruction calls, and who runs it."""
    if hasattr(instruction, "op_index"):
        name = plan.operators[instruction.op_index].name
        return name, "custom" if name in ops else "builtin"
    if hasattr(instruction, "delegate_index"):
        return plan.delegates[instruction.delegate_index].id, "delegate"
    return type(instruction).__name__, "builtin"  # moves and frees a value


def _inference(named: Sequence[tuple[str, Kind]], ends: Sequence[float]) -> Inference:
    begins = [0.0, *ends]
    events = [
        Event(name, kind, begin, end - begin, f"instruction {number}")
        for number, ((name, kind), begin, end) in enumerate(zip(named, begins, ends, strict=False))
    ]
    return Inference(begins[-1], tuple(events))


def _stepped(artifact: Path, inputs: Sequence[Array], runs: int, instructions: int) -> Array:
    """Returns nanoseconds, int64[runs, instructions]: when each instruction ended."""
    import numpy as np

    ends = np.zeros((runs, instructions), np.int64)
    function = ctypes.CDLL(str(_library())).executorch_steps
    function.restype = c_char_p
    function.argtypes = (c_char_p, POINTER(_Array), c_size_t, c_size_t, c_size_t, POINTER(c_int64))
    target = ends.ctypes.data_as(POINTER(c_int64))
    error = function(str(artifact).encode(), _arrays(inputs), len(inputs), runs, instructions, target)
    if error:
        raise DeployError(f"ExecuTorch cannot step through it: {error.decode()}", "Profile it for another runtime.")
    return ends


def _arrays(inputs: Sequence[Array]) -> Any:
    shapes = [(c_int32 * max(1, each.ndim))(*each.shape) for each in inputs]
    given = [
        _Array(each.ctypes.data, shape, each.ndim, _TYPES[str(each.dtype)])
        for each, shape in zip(inputs, shapes, strict=True)
    ]
    return (_Array * len(given))(*given)


def _library() -> Path:
    """Builds what steps through a program, unless it is there already.

    Raises:
        DeployError: Something that the build needs is missing, or the build failed.
    """
    from deploypipe.native import toolchain
    from deploypipe.native.helpers import helper
    from deploypipe.native.sources import PROJECT, OpSource

    source = OpSource(PROJECT.directory / "profile", PROJECT.namespace)  # needs no headers of kernels
    if lack := toolchain.missing("executorch", source=source):
        raise lack.error()
    return helper(
        "profile",
        "libexecutorch_steps.so",
        {
            "EXECUTORCH_ROOT": toolchain.package_folder("executorch", None),
            "EXECUTORCH_VERSION": toolchain.installed_version("executorch"),
        },
        uses=("sdk", "sdk/backends", "sdk/include/deploypipe"),
    )


def calls(model: Model, inputs: Sequence[Array]) -> list[Call]:
    """Runs the program up to each custom op, with the op's arguments as outputs."""
    artifact = model.path / model.manifest.artifact
    library = model.path / next(iter(model.manifest.libraries()))
    ops = {op.name for op in model.manifest.ops}
    plan = _parsed(artifact).program.execution_plan[0]
    named = [_named(plan, each.instr_args, ops) for each in _instructions(plan)]
    return [
        _call(artifact, number, inputs, name, library) for number, (name, kind) in enumerate(named) if kind == "custom"
    ]


def _call(artifact: Path, number: int, inputs: Sequence[Array], op: str, library: Path) -> Call:
    """Returns the call that an instruction is: of its arguments, those after the op's own take the outputs."""
    import torch
    from executorch.exir._serialize._program import serialize_pte_binary
    from executorch.extension.pybindings import _portable_lib

    file = _parsed(artifact)
    plan = file.program.execution_plan[0]
    chain = plan.chains[0]
    plan.outputs = chain.instructions[number].instr_args.args[: kernels.arity(op, library)]
    chain.instructions = chain.instructions[:number]
    content = bytes(serialize_pte_binary(file))
    found = _portable_lib._load_for_executorch_from_buffer(content).forward([torch.from_numpy(a) for a in inputs])
    given = [each.clone().numpy() if isinstance(each, torch.Tensor) else each for each in found]
    return kernels.call(op, given, library)
