"""Layers that compute in bfloat16 and take and give float32, in a module and in a graph."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, fx, nn

from deploypipe.oplib.float_inputs import float_nodes
from deploypipe.runtimes.reexport import export

if TYPE_CHECKING:
    from torch.export import ExportedProgram

    from deploypipe.capture import Program
    from deploypipe.runtimes.protocol import Form

aten = torch.ops.aten
_LAYERS = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
    nn.Embedding,
)
_OPS = (
    aten.linear.default,
    aten.conv1d.default,
    aten.conv1d.padding,
    aten.conv2d.default,
    aten.conv2d.padding,
    aten.conv3d.default,
    aten.conv3d.padding,
    aten.conv_transpose1d.default,
    aten.conv_transpose2d.input,
    aten.conv_transpose3d.input,
    aten.embedding.default,
)


class Bfloat16(nn.Module):
    """A layer with its weights in bfloat16.

    Args:
        layer: With float32 weights; it does not change.
    """

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = copy.deepcopy(layer).to(torch.bfloat16)

    def forward(self, input: Tensor) -> Tensor:
        """Takes what the layer takes; floats are rounded to bfloat16, and what it gives is float32."""
        given = input.to(torch.bfloat16) if input.is_floating_point() else input
        result: Tensor = self.layer(given)
        return result.to(torch.float32)


def module_form(layer: nn.Module) -> nn.Module | None:
    """Returns the bfloat16 form of a layer, or None where it has none."""
    return Bfloat16(layer) if type(layer) in _LAYERS else None


def graph_form(program: Program, exported: ExportedProgram, form: Form) -> ExportedProgram:
    """Exports a graph again, with bfloat16 in its products, convolutions and lookups.

    What computes a float input of an op, and the layers that the form keeps float, are left alone.

    Args:
        program: Gives the ranges of the axes.
        exported: Its graph, with custom ops or decomposed.
        form: Says which layers are kept.
    """
    module: Any = exported.module(check_guards=False)
    floats = float_nodes(module.graph, form.kept_float)
    chosen = [node for node in module.graph.nodes if node.target in _OPS and node not in floats]
    for node in module.graph.nodes:
        if node.op == "get_attr" and set(node.users) <= set(chosen):
            _round(module, node.target)
    for node in chosen:
        _convert(module, node)
    module.recompile()
    return export(program, module, exported)


def _round(module: fx.GraphModule, name: str) -> None:
    """Puts a weight's bfloat16 form in its place."""
    path, _, leaf = name.rpartition(".")
    owner = module.get_submodule(path)
    weight = getattr(owner, leaf)
    if weight.dtype == torch.float32:
        delattr(owner, leaf)
        setattr(owner, leaf, nn.Buffer(weight.detach().to(torch.bfloat16)))


def _convert(module: fx.GraphModule, node: fx.Node) -> None:
    """Rounds the float inputs of a node, and makes its output float32 again."""
    for given in node.all_input_nodes:
        if _dtype(module, given) == torch.float32:
            with module.graph.inserting_before(node):
                rounded = module.graph.call_function(aten.to.dtype, (given, torch.bfloat16))
            node.replace_input_with(given, rounded)
    with module.graph.inserting_after(node):
        result = module.graph.call_function(aten.to.dtype, (node, torch.float32))
    node.replace_all_uses_with(result, delete_user_cb=lambda user: user is not result)
    result.meta["val"] = node.meta["val"]


def _dtype(module: fx.GraphModule, node: fx.Node) -> torch.dtype:
    if node.op != "get_attr":
        found: torch.dtype = node.meta["val"].dtype
        return found
    path, _, leaf = str(node.target).rpartition(".")
    weight: Tensor = getattr(module.get_submodule(path), leaf)
    return weight.dtype
