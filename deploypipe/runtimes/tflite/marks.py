"""Which layer of a model an operator of a file belongs to: marked in the graph, and read off the names of tensors.

litert-torch names a tensor by the modules that a node stands in. The marks stand in their place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deploypipe.layers import within
from deploypipe.runtimes.tflite import flatbuffer

if TYPE_CHECKING:
    import torch

    from deploypipe.layers import Layer

# Begins the mark of an operator of a layer, and of one whose inputs no quantizer may touch. Both end with a semicolon.
LAYER, FLOAT = "layer:", "float:"
_FOUND = re.compile(f"{LAYER}([^;]*);".encode())
# Of the types of weights, those that are no floats; in the words of `layers.LayerState`.
_PRECISIONS = {"INT8": "int8", "INT4": "int4", "UINT8": "uint8"}


@dataclass(frozen=True)
class Weights:
    """The largest constant that operators of a layer read.

    Attributes:
        count: Numbers in it.
        kind: Name of its type in the schema.
        operator: Name of the operator that reads it.
        output: Name of the first output of that operator.
    """

    count: int
    kind: str
    operator: str
    output: bytes

    @property
    def precision(self) -> str | None:
        """As `layers.LayerState` says it, or None for floats."""
        return _PRECISIONS.get(self.kind)


def mark(graph: torch.fx.GraphModule, layers: Sequence[Layer]) -> None:
    """Marks the nodes of an exported graph, all of them: those of no layer with nothing."""
    for node in graph.graph.nodes:
        stack = [*node.meta.get("nn_module_stack", {}).values()]
        kept = any(str(kind).endswith(".KeptFloat") for _, kind in stack)
        node.meta["nn_module_stack"] = {"": ("", f"{FLOAT};" if kept else said([path for path, _ in stack], layers))}


def said(paths: Sequence[str], layers: Sequence[Layer]) -> str:
    """Returns the mark of the innermost layer that one of some modules is or is within, or an empty text."""
    inner = [each.name for each in layers if any(within(path, each.name) for path in paths)]
    return f"{LAYER}{max(inner, key=len)};" if inner else ""


def layer_of(model: flatbuffer.Model, graph: flatbuffer.Subgraph, operator: flatbuffer.Operator) -> str | None:
    """Returns the path of the layer that an operator belongs to.

    Its weights tell before its outputs: an output of the model has the name of the output.
    """
    constants = [tensor for tensor, _ in _constants(model, graph, operator)]
    tensors = [*constants, *(graph.tensors[index] for index in operator.outputs)]
    found = next((match for tensor in tensors if (match := _FOUND.search(tensor.name or b""))), None)
    return found.group(1).decode() if found else None


def weights_of(model: flatbuffer.Model) -> dict[str, Weights]:
    """Returns the weights of each layer that has some in a file."""
    found: dict[str, Weights] = {}
    for graph, operator in flatbuffer.operators(model):
        layer = layer_of(model, graph, operator)
        for weights in _weights(model, graph, operator) if layer is not None else ():
            if layer not in found or weights.count > found[layer].count:
                found[str(layer)] = weights
    return found


def _weights(model: flatbuffer.Model, graph: flatbuffer.Subgraph, operator: flatbuffer.Operator) -> Iterator[Weights]:
    kinds = flatbuffer.names(flatbuffer.schema().TensorType)
    for tensor, shape in _constants(model, graph, operator):
        count = 1
        for size in shape:
            count *= size
        output = graph.tensors[operator.outputs[0]].name or b""
        yield Weights(count, kinds[tensor.type], flatbuffer.name_of(model, operator), output)


def _constants(
    model: flatbuffer.Model, graph: flatbuffer.Subgraph, operator: flatbuffer.Operator
) -> Iterator[tuple[flatbuffer.Tensor, tuple[int, ...]]]:
    """Yields the constants of two axes or more that an operator reads, itself or by way of a DEQUANTIZE."""
    dequantize = flatbuffer.schema().BuiltinOperator.DEQUANTIZE
    stored = {
        int(each.outputs[0]): int(each.inputs[0])
        for each in graph.operators
        if flatbuffer.builtin_of(model, each) == dequantize
    }
    for index in operator.inputs:
        tensor = graph.tensors[stored.get(int(index), int(index))]
        shape = flatbuffer.shape_of(tensor)
        if index >= 0 and len(shape) >= 2 and flatbuffer.data_of(model.buffers[tensor.buffer]) is not None:
            yield tensor, shape
