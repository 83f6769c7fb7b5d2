"""ONNX Runtime: its own profiler notes every node."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploypipe.profile.operators.kernels import Call
from deploypipe.profile.operators.trace import Event, Inference, Kind, Recording

if TYPE_CHECKING:
    import numpy as np
    import onnx

    from deploypipe.bundle.load import Model

    Array = np.ndarray[Any, Any]

_NODE = "_kernel_time"
_HERE = "CPUExecutionProvider"
# Runs before those that are kept.
_WARM_UP = 10


def recorded(model: Model, inputs: Sequence[Array], runs: int) -> Recording:
    """Profiles some runs, in one thread."""
    session: Any = model.session
    custom = {op.name.partition("::")[2] for op in model.manifest.ops}
    events = session.profile(inputs, _WARM_UP + runs)
    inferences = [_inference(each, events, custom) for each in events if each["name"] == "model_run"]
    return Recording(
        "ONNX Runtime profiling, one thread",
        tuple(inferences[_WARM_UP:]),
        "Whole microseconds. The profiler takes some microseconds for each node, which a short inference is made of.",
    )


def calls(model: Model, inputs: Sequence[Array]) -> list[Call]:
    """Runs the model once with what custom ops are given as outputs."""
    import onnx
    from onnx import helper, numpy_helper

    ops = {op.name for op in model.manifest.ops}
    proto = onnx.load(model.path / model.manifest.artifact)
    nodes = [node for node in proto.graph.node if _op(node) in ops]
    known = {each.name: numpy_helper.to_array(each) for each in proto.graph.initializer}
    known |= dict(zip((each.name for each in model.manifest.inputs), inputs, strict=True))
    wanted = list(dict.fromkeys(name for node in nodes for name in node.input if name not in known))
    given = [each.name for each in proto.graph.output]
    proto.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in wanted if name not in given)
    known |= _values(model, proto, inputs)
    return [Call(_op(node), tuple(known[name] for name in node.input), _attributes(node)) for node in nodes]


def _values(model: Model, proto: onnx.ModelProto, inputs: Sequence[Array]) -> dict[str, Array]:
    """Returns the outputs of a model by their names."""
    from deploypipe.runtimes import onnxruntime

    libraries = [model.path / name for name in model.manifest.libraries()]
    with tempfile.TemporaryDirectory() as folder:
        artifact = Path(folder) / model.manifest.artifact
        artifact.write_bytes(proto.SerializeToString())
        found = onnxruntime.load(artifact, libraries).run(inputs)
    return dict(zip((each.name for each in proto.graph.output), found, strict=True))


def _op(node: onnx.NodeProto) -> str:
    return f"{node.domain}::{node.op_type}"


def _attributes(node: onnx.NodeProto) -> dict[str, float]:
    from onnx import helper

    return {each.name: helper.get_attribute_value(each) for each in node.attribute}


def _inference(whole: Mapping[str, Any], events: Sequence[Mapping[str, Any]], custom: set[str]) -> Inference:
    """Takes the nodes of one run; where one runs a graph of its own, that graph's nodes lie within it."""
    start, end = whole["ts"], whole["ts"] + whole["dur"]
    nodes = [each for each in events if each["cat"] == "Node" and start <= each["ts"] < end]
    return Inference(whole["dur"], tuple(_event(each, start, custom) for each in nodes if each["name"].endswith(_NODE)))


def _event(node: Mapping[str, Any], start: float, custom: set[str]) -> Event:
    name = node["args"]["op_name"]
    kind: Kind = "custom" if name in custom else "builtin" if node["args"]["provider"] == _HERE else "delegate"
    return Event(name, kind, node["ts"] - start, node["dur"], node["name"].removesuffix(_NODE))
