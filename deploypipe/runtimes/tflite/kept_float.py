"""What no quantizer may touch: ops that take floats only, and layers that were asked to stay float.

What computes the inputs of such an op stays float as well: an input that was quantized on the way is touched too.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from deploypipe.layers import within
from deploypipe.oplib import registry
from deploypipe.runtimes.tflite import flatbuffer, lowerings, marks
from deploypipe.runtimes.tflite import graph as ops

if TYPE_CHECKING:
    import torch

# Begins the names of what is left alone.
PREFIX = "float/"


def rewrite(graph: torch.fx.GraphModule) -> None:
    """Puts the marked reference of an op in its place, where its spec names float inputs."""
    for number, node in enumerate(list(graph.graph.nodes)):
        spec = ops.spec_of(node)
        if spec and spec.float_inputs:
            _replace(graph, node, spec.reference, f"kept_float_{number}")
    graph.recompile()


def _replace(graph: torch.fx.GraphModule, node: torch.fx.Node, reference: Any, name: str) -> None:
    from deploypipe.runtimes.tflite.modules import KeptFloat

    schema = ops.schema_of(node)
    given = dict(zip((each.name for each in schema.arguments), node.args, strict=False)) | node.kwargs
    tensors = [each.name for each in schema.arguments if "Tensor" in str(each.type)]
    attributes: Any = {key: value for key, value in given.items() if key not in tensors}
    module = KeptFloat(functools.partial(_named, reference, tensors), attributes)
    ops.replace(graph, node, name, module, [given[each] for each in tensors])


def _named(reference: Any, names: list[str], *inputs: torch.Tensor, **attributes: float) -> Any:
    return reference(**dict(zip(names, inputs, strict=True)), **attributes)


def rename(model: flatbuffer.Model, layers: Sequence[str]) -> int:
    """Gives the outputs of every operator that must stay float names that begin with `PREFIX`.

    Args:
        model: A converted one, in which operators are marked.
        layers: Those that were asked to stay float, with all that is within them.

    Returns:
        How many operators there are.
    """
    return sum(_rename(model, subgraph, layers) for subgraph in model.subgraphs)


def _rename(model: flatbuffer.Model, subgraph: flatbuffer.Subgraph, layers: Sequence[str]) -> int:
    needed: set[int] = set()
    count = 0
    for operator in reversed(subgraph.operators or []):
        strict = _is_float_only(model, subgraph, operator) or bool(needed.intersection(operator.outputs))
        if strict:
            needed.update(index for index in operator.inputs if index >= 0)
        if strict or _is_kept(model, subgraph, operator, layers):
            count += 1
            for index in operator.outputs:
                subgraph.tensors[index].name = PREFIX.encode() + subgraph.tensors[index].name
    return count


def _is_float_only(model: flatbuffer.Model, subgraph: flatbuffer.Subgraph, operator: flatbuffer.Operator) -> bool:
    """Tells whether an operator is an op, or part of one, whose spec names float inputs."""
    if any(marks.FLOAT.encode() in subgraph.tensors[index].name for index in operator.outputs):
        return True
    op = lowerings.op_of(flatbuffer.custom_code(model, operator))
    found = registry.for_torch_op(op) if op else None
    return bool(found and found[1].float_inputs)


def _is_kept(
    model: flatbuffer.Model, subgraph: flatbuffer.Subgraph, operator: flatbuffer.Operator, layers: Sequence[str]
) -> bool:
    layer = marks.layer_of(model, subgraph, operator) if layers else None
    return layer is not None and any(within(layer, each) for each in layers)
