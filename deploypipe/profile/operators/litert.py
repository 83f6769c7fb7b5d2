"""LiteRT: the profiler of its C API notes its own operators, custom ones, and the steps of its delegate."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploypipe.profile.operators.kernels import Call
from deploypipe.profile.operators.trace import Event, Inference, Kind, Recording

if TYPE_CHECKING:
    import numpy as np

    from deploypipe.bundle.load import Model
    from deploypipe.runtimes.tflite.compiled import OpEvent

    Array = np.ndarray[Any, Any]

DELEGATE = "XNNPACK"
_INVOKE = "Invoke"
# Runs before those that are kept.
_WARM_UP = 10


def recorded(model: Model, inputs: Sequence[Array], runs: int) -> Recording:
    """Profiles some runs, in one thread."""
    session: Any = model.session
    return Recording(
        "LiteRT profiler, one thread",
        tuple(_inference(each) for each in session.events(inputs, _WARM_UP + runs)[_WARM_UP:]),
        f"Whole microseconds, rounded down. {DELEGATE} is what its steps that are shorter than one take together, and "
        "the way there and back.",
    )


def _inference(run: Sequence[OpEvent]) -> Inference:
    phases = [each for each in run if each.kind == "phase"]
    start, end = phases[0].start_us, phases[-1].start_us + phases[-1].elapsed_us
    invoke = next(each for each in phases if each.name == _INVOKE)
    began = float(invoke.start_us - start)
    ops = [each for each in run if each.kind != "phase"]
    return Inference(float(end - start), tuple(_placed(ops, start, began, began + invoke.elapsed_us)))


def _placed(ops: Sequence[OpEvent], start: int, now: float, end: float) -> Iterator[Event]:
    """Gives steps of the delegate, of which only the order is known, a place between the ops around them.

    Args:
        ops: Of a run.
        start: Of the run, by LiteRT's clock.
        now: When the ops began, microseconds since then.
        end: When they ended.
    """
    parts = [list(part) for _, part in itertools.groupby(ops, lambda each: each.kind == "delegate")]
    for number, part in enumerate(parts):
        if part[0].kind == "delegate":
            until = float(parts[number + 1][0].start_us - start) if number + 1 < len(parts) else end
            yield from _delegated(part, now, until)
            continue
        for op in part:
            now = float(op.start_us - start + op.elapsed_us)
            kind: Kind = "custom" if op.kind == "custom" else "builtin"
            yield Event(op.name, kind, float(op.start_us - start), float(op.elapsed_us))


def _delegated(steps: Sequence[OpEvent], start: float, end: float) -> Iterator[Event]:
    yield Event(DELEGATE, "delegate", start, max(end - start, float(sum(each.elapsed_us for each in steps))))
    for step in steps:
        yield Event(step.name, "delegate", start, float(step.elapsed_us))
        start += step.elapsed_us


def calls(model: Model, inputs: Sequence[Array]) -> list[Call]:
    """Runs the file once with what custom ops are given as outputs."""
    from deploypipe.runtimes.tflite import flatbuffer

    file = flatbuffer.parse((model.path / model.manifest.artifact).read_bytes())
    signature = _signature(model, file, inputs)
    graph = file.subgraphs[signature.subgraphIndex]
    found = [(each, code) for each in graph.operators if (code := flatbuffer.custom_code(file, each))]
    places = dict.fromkeys(int(index) for operator, _ in found for index in operator.inputs)
    constants = {place: flatbuffer.constant(file, graph.tensors[place]) for place in places}
    known = {place: each for place, each in constants.items() if each is not None}
    wanted = [place for place in places if place not in known]
    for place in wanted:
        graph.outputs = [*graph.outputs, place]
        signature.outputs.append(flatbuffer.tensor_map(_name(place).encode(), place))
    values = _values(model, flatbuffer.write(file), signature.signatureKey.decode(), inputs)
    known |= {place: values[_name(place)] for place in wanted}
    return [_call(code, [known[int(index)] for index in operator.inputs]) for operator, code in found]


def _name(place: int) -> str:
    return f"deploypipe_tensor_{place}"


def _signature(model: Model, file: Any, inputs: Sequence[Array]) -> Any:
    from deploypipe.runtimes.tflite import batches

    session: Any = model.session
    if not session.batches:
        return file.signatureDefs[0]
    key = batches.key_of(inputs[0].shape[0]).encode()
    return next(each for each in file.signatureDefs if each.signatureKey == key)


def _values(model: Model, content: bytes, signature: str, inputs: Sequence[Array]) -> Mapping[str, Array]:
    """Returns the outputs of a file by their names."""
    from deploypipe.runtimes.tflite.compiled import CompiledModel

    libraries = [model.path / name for name in model.manifest.libraries()]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / model.manifest.artifact
        path.write_bytes(content)
        with CompiledModel.open(path, libraries, signature=signature) as opened:
            return dict(zip((each.name for each in opened.outputs), opened.run(inputs), strict=True))


def _call(code: str, inputs: Sequence[Array]) -> Call:
    from deploypipe.runtimes.tflite.lowerings import op_of

    said = (each.partition("=") for each in code.split(";")[1:])
    return Call(op_of(code), tuple(inputs), {name: float(value) for name, _, value in said})
