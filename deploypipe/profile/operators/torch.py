"""TorchScript and AOTInductor: torch's profiler notes every op that goes through its dispatcher."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from deploypipe.profile.operators import kernels
from deploypipe.profile.operators.kernels import Call
from deploypipe.profile.operators.trace import Event, Inference, Kind, Recording

if TYPE_CHECKING:
    import numpy as np

    from deploypipe.bundle.load import Model

    Array = np.ndarray[Any, Any]

COMPILED = "compiled code"
_INFERENCE = "deploypipe inference"
# TorchScript's name of the whole graph: the time that is its own is the interpreter's.
_GRAPH = "forward"


def recorded(model: Model, inputs: Sequence[Array], runs: int) -> Recording:
    """Profiles some runs, in one thread."""
    import torch

    torch.set_num_threads(1)
    session = _marked(model) if model.manifest.runtime.name == "aotinductor" else model.session
    # The first profile of a process sets itself up within the first run.
    for count in (1, runs):
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            for _ in range(count):
                with torch.profiler.record_function(_INFERENCE):
                    session.run(inputs)
    ops = {op.name for op in model.manifest.ops}
    return Recording("torch profiler, one thread", tuple(_inferences(profile.events(), ops)), _note(model))


def _note(model: Model) -> str:
    note = "The profiler takes about a microsecond for each call."
    if model.manifest.runtime.name != "aotinductor":
        return note
    return f"{note} {COMPILED} is all loops that were generated, with AOTInductor's own work between them."


def _marked(model: Model) -> Any:
    """Returns the session with an event around the model: its generated loops have none of their own."""
    import torch

    from deploypipe.runtimes.torch_session import TorchSession

    session: Any = model.session

    def run(*tensors: torch.Tensor) -> Any:
        with torch.profiler.record_function(COMPILED):
            return session.model(*tensors)

    return TorchSession(run)


def _inferences(events: Sequence[Any], ops: set[str]) -> list[Inference]:
    """Cuts what the profiler noted into inferences; what other threads did meanwhile is left out."""
    found = []
    for whole in events:
        if whole.name == _INFERENCE:
            start, end = whole.time_range.start, whole.time_range.end
            inside = [
                _event(each, start, ops)
                for each in events
                if each.thread == whole.thread
                and start <= each.time_range.start < end
                and each.name not in {_INFERENCE, _GRAPH}
            ]
            found.append(Inference(end - start, tuple(inside)))
    return found


def _event(noted: Any, start: float, ops: set[str]) -> Event:
    kind: Kind = "custom" if noted.name in ops else "delegate" if noted.name == COMPILED else "builtin"
    begin, end = noted.time_range.start, noted.time_range.end
    return Event(noted.name, kind, begin - start, end - begin)


def calls(model: Model, inputs: Sequence[Array]) -> list[Call]:
    """Runs the model once and keeps what the dispatcher gives custom ops."""
    from torch.utils._python_dispatch import TorchDispatchMode

    library = model.path / next(iter(model.manifest.libraries()))
    ops = {op.name for op in model.manifest.ops}
    found: list[Call] = []

    class Kept(TorchDispatchMode):
        """Sees each call before it is made."""

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func._schema.name in ops:
                given = [each.numpy().copy() if hasattr(each, "numpy") else each for each in args]
                found.append(kernels.call(func._schema.name, given, library))
            return func(*args, **(kwargs or {}))

    with Kept():  # type: ignore[no-untyped-call]  # torch gives the constructor of its modes no types
        model.session.run(inputs)
    return found
