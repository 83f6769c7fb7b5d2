"""What no quantizer may touch in a graph of torch.export: inputs that an OpSpec names, and all that computes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import fx

from deploypipe.oplib import registry


def float_nodes(graph: fx.Graph, kept: Sequence[str]) -> set[fx.Node]:
    """Returns the nodes that no quantizer may touch: those of layers that are kept float, and what float inputs need.

    Args:
        graph: Of torch.export, with custom ops or with their references in their place.
        kept: Paths of layers.
    """
    needed: set[fx.Node] = set()
    for node in reversed(graph.nodes):
        if node in needed:
            needed.update(node.all_input_nodes)
        else:
            needed.update(_float_inputs(node))
    own = {node for node in graph.nodes if not set(stack(node)).isdisjoint(kept)}
    return {node for node in needed | own if node.op == "call_function"}


def float_layers(graph: fx.Graph, kept: Sequence[str]) -> set[str]:
    """Returns the paths of the modules that have nodes which no quantizer may touch."""
    return {modules[-1] for node in float_nodes(graph, kept) if (modules := stack(node))}


def _float_inputs(node: fx.Node) -> list[fx.Node]:
    """Returns the inputs of an op that must stay float; of a node of its reference, the node itself and its inputs."""
    op = node.target if node.op == "call_function" else None
    if (spec := _spec(op)) is not None:
        given = arguments(node)
        return [value for name in spec.float_inputs if isinstance(value := given.get(name), fx.Node)]
    origin = _spec(node.meta.get("original_aten"))
    return [node, *node.all_input_nodes] if origin is not None and origin.float_inputs else []


def arguments(node: fx.Node) -> dict[str, Any]:
    """Returns the arguments of a call by name."""
    schema = getattr(node.target, "_schema", None)
    names = (each.name for each in schema.arguments) if schema else ()
    return dict(zip(names, node.args, strict=False)) | node.kwargs


def _spec(op: Any) -> Any:
    schema = getattr(op, "_schema", None)
    found = registry.for_torch_op(schema.name) if schema else None
    return found[1] if found else None


def stack(node: fx.Node) -> list[str]:
    """Returns the paths of the modules that a node was exported from, the outermost first."""
    return [path for path, _ in (node.meta.get("nn_module_stack") or {}).values()]
