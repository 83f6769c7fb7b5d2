"""What became of the layers of a model, as found in the file."""

from __future__ import annotations

import math
from collections.abc import Callable

import onnx

from deploypipe import layers
from deploypipe.layers import Layer, LayerState
from deploypipe.runtimes.onnx import kept_float, origins
from deploypipe.runtimes.protocol import Form

_TYPES = {onnx.TensorProto.INT8: "int8", onnx.TensorProto.UINT8: "uint8"}


def states(
    before: onnx.ModelProto, after: onnx.ModelProto, model: tuple[Layer, ...], form: Form
) -> tuple[LayerState, ...]:
    """Returns what became of each layer.

    Args:
        before: As it was exported.
        after: What is shipped.
        model: The layers of the model.
        form: What was asked for.

    Raises:
        DeployError: Something other than fp32 was asked for, and all stayed float.
    """
    owners = origins.owners(before, [layer.name for layer in model])
    precisions = _precisions(after, owners)
    return layers.states(model, precisions, _why(before, owners, form), form.precision, form.kept_float)


def _precisions(model: onnx.ModelProto, owners: dict[str, str]) -> dict[str, str]:
    """Returns the precision of each layer whose largest matrix is not float."""
    packed = {
        node.input[1]: f"int{attribute.i}"
        for node in model.graph.node
        for attribute in node.attribute
        if (node.op_type, attribute.name) == ("MatMulNBits", "bits")
    }
    largest: dict[str, tuple[int, str | None]] = {}
    for tensor in model.graph.initializer:
        if (owner := _owner(tensor.name, owners)) is not None and len(tensor.dims) > 1:
            here = math.prod(tensor.dims), packed.get(tensor.name, _TYPES.get(tensor.data_type))
            largest[owner] = max(largest.get(owner, here), here, key=lambda each: each[0])
    return {name: precision for name, (_, precision) in largest.items() if precision}


def _owner(name: str, owners: dict[str, str]) -> str | None:
    """Returns the layer of a matrix; the quantizers append to the name of a weight what they make of it."""
    sources = [each for each in owners if name == each or name.startswith(f"{each}_")]
    return owners[max(sources, key=len)] if sources else None


def _why(model: onnx.ModelProto, owners: dict[str, str], form: Form) -> Callable[[Layer], str]:
    reading = origins.readers(model)
    floats = kept_float.needed(model)
    sizes = {tensor.name: math.prod(tensor.dims) for tensor in model.graph.initializer}

    def why(layer: Layer) -> str:
        weights = [name for name, owner in owners.items() if owner == layer.name]
        if not weights:
            return ""
        if any(node.name in floats for name in weights for node in reading[name]):
            return layers.NEEDED
        kinds = {node.op_type for node in reading[max(weights, key=sizes.__getitem__)]}
        if form.precision == "int8-dynamic" and "Conv" in kinds:
            return "ONNX Runtime convolves 8-bit numbers without calibrated scales slower than floats"
        return f"ONNX Runtime has no {form.precision} form of {' and '.join(sorted(kinds))}"

    return why
