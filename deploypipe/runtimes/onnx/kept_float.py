"""What no quantizer may touch: layers that are kept float, ops that take float only, and what computes their inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx

from deploypipe.layers import within
from deploypipe.oplib import registry
from deploypipe.oplib.spec import OpSpec
from deploypipe.runtimes.onnx import origins

# Ends the scopes of the nodes of a reference that stands for an op with float inputs.
_MARK = "takes float only"


def mark(exported: Any) -> Any:
    """Notes down in a decomposed graph which nodes stand for an op with float inputs, so that the exporter tells.

    Args:
        exported: The ExportedProgram of a decomposed graph; it is changed and returned.
    """
    for node in exported.graph.nodes:
        spec = _spec(getattr(getattr(node.meta.get("original_aten"), "_schema", None), "name", ""))
        if spec and spec.float_inputs:
            node.meta["nn_module_stack"] = {**node.meta.get("nn_module_stack", {}), _MARK: (_MARK, "Op")}
    return exported


def nodes(model: onnx.ModelProto, layers: Sequence[str]) -> set[str]:
    """Returns the names of the nodes that stay float.

    Args:
        model: As it was exported, of a graph that went through `mark` if it is decomposed.
        layers: Paths of layers that were asked to stay float.
    """
    floats = needed(model)
    kept = [node for node in model.graph.node if node.name in floats or _is_of(node, layers)]
    # A weight that another node reads as well would be one of 8 bits for both.
    constants = {tensor.name for tensor in model.graph.initializer}
    shared = {name for node in kept for name in node.input if name in constants}
    return {node.name for node in (*kept, *(node for node in model.graph.node if shared.intersection(node.input)))}


def needed(model: onnx.ModelProto) -> set[str]:
    """Returns the names of the nodes of ops that take float only, and of those that compute their inputs."""
    values: set[str] = set()
    names = set()
    for node in reversed(model.graph.node):
        inputs = _float_inputs(node)
        if _MARK in origins.scopes(node) or values.intersection(node.output):
            inputs = list(origins.inputs(node))
        if inputs:
            values.update(inputs)
            names.add(node.name)
    return names


def _float_inputs(node: onnx.NodeProto) -> list[str]:
    spec = _spec(f"{node.domain}::{node.op_type}") if node.domain else None
    if spec is None or not spec.float_inputs:
        return []
    return [name for name, formal in zip(node.input, _formals(node), strict=False) if formal in spec.float_inputs]


def _formals(node: onnx.NodeProto) -> list[str]:
    return [each.name for each in onnx.defs.get_schema(node.op_type, 1, node.domain).inputs]


def _spec(op: str) -> OpSpec | None:
    found = registry.for_torch_op(op)
    return found[1] if found else None


def _is_of(node: onnx.NodeProto, layers: Sequence[str]) -> bool:
    """Tells whether a node is in one of some layers, or reads its weights."""
    paths = (*origins.scopes(node), *node.input)
    return any(within(path, layer) for path in paths for layer in layers)


def reconnect(model: onnx.ModelProto, names: set[str]) -> None:
    """Lets nodes read values as they were before they went through 8 bits.

    The quantizer redirects all that read a value, also those that it leaves float.

    Args:
        model: Quantized, with QuantizeLinear and DequantizeLinear.
        names: Of the nodes that take float only.
    """
    made = {node.output[0]: node for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")}
    for node in model.graph.node:
        if node.name in names:
            node.input[:] = [_before(name, made) for name in node.input]


def _before(name: str, made: dict[str, onnx.NodeProto]) -> str:
    quantize = made.get(made[name].input[0]) if name in made else None
    return quantize.input[0] if quantize else name
