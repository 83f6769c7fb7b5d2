"""Ops that no quantizer may touch: marked in the graph before it is converted, found again in the file.

What computes their inputs stays float as well: an input that was quantized on the way is touched too.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from deploypipe.runtimes.tflite import flatbuffer
from deploypipe.runtimes.tflite import graph as ops

if TYPE_CHECKING:
    import torch

# Begins the names of what is left alone.
PREFIX = "float/"
_MARK = "KeptFloat"


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


def rename(model: flatbuffer.Model) -> int:
    """Gives the outputs of every operator that must stay float names that begin with `PREFIX`.

    Returns:
        How many operators there are.
    """
    return sum(_rename(subgraph) for subgraph in model.subgraphs)


def _rename(subgraph: flatbuffer.Subgraph) -> int:
    def marked(operator: flatbuffer.Operator) -> bool:
        return any(_MARK.encode() in subgraph.tensors[index].name for index in operator.outputs)

    needed: set[int] = set()
    count = 0
    for operator in reversed(subgraph.operators or []):
        if marked(operator) or needed.intersection(operator.outputs):
            needed.update(index for index in operator.inputs if index >= 0)
            count += 1
            for index in operator.outputs:
                subgraph.tensors[index].name = PREFIX.encode() + subgraph.tensors[index].name
    return count
