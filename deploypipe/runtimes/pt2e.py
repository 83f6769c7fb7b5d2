"""PT2E, torchao's quantization of exported graphs: what it needs whichever quantizer says how."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, fx
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
from torchao.quantization.pt2e.quantizer import QuantizationAnnotation, Quantizer

from deploypipe.errors import DeployError, first_line
from deploypipe.layers import at
from deploypipe.oplib.float_inputs import arguments, float_nodes, stack
from deploypipe.runtimes import calibration
from deploypipe.runtimes.protocol import Form
from deploypipe.runtimes.reexport import example, export

if TYPE_CHECKING:
    from torch.export import ExportedProgram

    from deploypipe.capture import Program

STATIC = "int8-static"
_ANNOTATION = "quantization_annotation"
_TYPES = {torch.int8: "int8", torch.uint8: "uint8"}


def quantized(program: Program, exported: ExportedProgram, quantizer: Quantizer, form: Form) -> ExportedProgram:
    """Quantizes a graph, and exports it again with the sizes that it had.

    What computes a float input of an op, and the layers that the form keeps float, are left alone.

    Args:
        program: Gives the calibration data and the ranges of the axes.
        exported: Its graph, with custom ops or decomposed.
        quantizer: Of the runtime; it need not know what stays float.
        form: `int8-static` is calibrated; any other precision finds its scales as it runs.

    Raises:
        DeployError: There is no calibration data, or the graph cannot be quantized; the text says why.
    """
    samples = list(calibration.samples(program, STATIC)) if form.precision == STATIC else [example(exported)]
    try:
        with torch.no_grad():
            prepared: Any = prepare_pt2e(exported.module(check_guards=False), _Careful(quantizer, form.kept_float))
            for sample in samples:
                prepared(*sample)
            converted: Any = convert_pt2e(prepared)
            _drop_unused(converted)
            return export(program, converted, exported)
    except Exception as error:
        raise DeployError(
            f"The model cannot be quantized to {form.precision}: {first_line(error)}", "Take another precision."
        ) from error


def layers(graphs: Iterable[fx.Graph], names: Sequence[str]) -> dict[str, str]:
    """Returns the precision of the layers that compute with weights of few bits.

    Args:
        graphs: What is lowered, or the parts of it.
        names: Of the layers of the model.

    Returns:
        Name to `int4`, `int8` or `uint8`, of those that have such weights.
    """
    nodes = (node for graph in graphs for node in graph.nodes)
    found = ((place, kind) for node in nodes if (kind := _kind(node)) for place in _places(node))
    return {layer: kind for place, kind in found if (layer := at(place, names)) is not None}


def leave(nodes: Iterable[fx.Node]) -> None:
    """Marks nodes as annotated, so that a quantizer that comes after leaves them as they are."""
    for node in nodes:
        node.meta[_ANNOTATION] = QuantizationAnnotation(_annotated=True)


def dequantizes(node: fx.Node) -> bool:
    """Tells whether a node turns whole numbers with a scale into floats."""
    return "dequantize" in str(node.target)


class _Careful(Quantizer):  # type: ignore[misc]
    """Lets another quantizer annotate a graph in which the nodes that stay float have been answered already."""

    def __init__(self, quantizer: Quantizer, kept: Sequence[str]) -> None:
        super().__init__()
        self.quantizer, self.kept = quantizer, kept

    def transform_for_annotation(self, model: fx.GraphModule) -> fx.GraphModule:
        changed: fx.GraphModule = self.quantizer.transform_for_annotation(model)
        return changed

    def annotate(self, model: fx.GraphModule) -> fx.GraphModule:
        leave(float_nodes(model.graph, self.kept))
        changed: fx.GraphModule = self.quantizer.annotate(model)
        return changed

    def validate(self, model: fx.GraphModule) -> None:
        self.quantizer.validate(model)


def _kind(node: fx.Node) -> str | None:
    """Returns what a constant of a graph holds, None where it is no matrix of whole numbers of few bits."""
    value = node.meta.get("val")
    if node.op != "placeholder" or not isinstance(value, Tensor) or value.dim() < 2:
        return None
    lowest = {arguments(user).get("quant_min") for user in node.users if dequantizes(user)}
    return "int4" if lowest == {-8} else _TYPES.get(value.dtype)


def _places(node: fx.Node) -> Iterator[str]:
    """Returns the innermost modules that use a constant, or its dequantized form."""
    for user in node.users:
        if dequantizes(user):
            yield from _places(user)
        elif modules := stack(user):
            yield modules[-1]


def _drop_unused(module: fx.GraphModule) -> None:
    """Deletes the float weights, which stay beside the quantized ones and would be exported too."""
    used = {node.target for node in module.graph.nodes if node.op == "get_attr"}
    for name in [name for name, _ in module.named_parameters() if name not in used]:
        owner, _, leaf = name.rpartition(".")
        delattr(module.get_submodule(owner), leaf)
