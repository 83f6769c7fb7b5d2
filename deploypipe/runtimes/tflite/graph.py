"""Ops of libraries in a graph of torch.export: finding them, and putting modules in their place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from deploypipe.oplib import registry

if TYPE_CHECKING:
    import torch

    from deploypipe.oplib.spec import OpSpec


def schema_of(node: torch.fx.Node) -> Any:
    """Returns the schema of the op that a node calls, None where it calls none."""
    return getattr(node.target, "_schema", None) if node.op == "call_function" else None


def spec_of(node: torch.fx.Node) -> OpSpec | None:
    """Returns the spec of the op that a node calls, None where it is no op of a library."""
    schema = schema_of(node)
    found = registry.for_torch_op(schema.name) if schema else None
    return found[1] if found else None


def replace(
    graph: torch.fx.GraphModule, node: torch.fx.Node, name: str, module: torch.nn.Module, inputs: Sequence[Any]
) -> None:
    """Puts a call of a module in the place of a node; it gets a name within the module that the node stands in."""
    path = ".".join(filter(None, (path_of(node), name)))
    graph.add_submodule(path, module)
    with graph.graph.inserting_before(node):
        call = graph.graph.call_module(path, tuple(inputs))
    node.replace_all_uses_with(call)
    graph.graph.erase_node(node)


def path_of(node: torch.fx.Node) -> str:
    """Returns the path of the module that a node stands in, empty for the model itself."""
    stack = [*node.meta.get("nn_module_stack", {}).values()]
    return str(stack[-1][0]) if stack else ""
