"""The precisions of AOTInductor: PT2E with the quantizer of inductor, and bfloat16."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING

from deploypipe import installed, layers
from deploypipe.errors import DeployError
from deploypipe.precision import Refusal
from deploypipe.runtimes.torch_session import REFUSED_BY_TORCH, kind_of

if TYPE_CHECKING:
    from torch import fx
    from torch.export import ExportedProgram

    from deploypipe.capture import Program
    from deploypipe.runtimes.protocol import Form

PRECISIONS = ("fp32", "bf16", "int8-dynamic", "int8-static")
REFUSED: Mapping[str, Refusal] = REFUSED_BY_TORCH


def graph(program: Program, form: Form) -> ExportedProgram:
    """Returns the graph that is compiled for a form.

    Raises:
        DeployError: The precision cannot be had for this model; the text says why.
    """
    exported = program.decomposed() if form.decomposed else program.exported()
    if form.precision == "fp32":
        return exported
    if form.precision == "bf16":
        from deploypipe.runtimes import bfloat16

        return bfloat16.graph_form(program, exported, form)
    if not (usable := installed.extra("compress")).ok:
        raise DeployError(f"AOTInductor has no {form.precision} here", usable.reason)
    from deploypipe.runtimes import pt2e
    from deploypipe.runtimes.aoti.quantizer import InductorQuantizer

    return pt2e.quantized(program, exported, InductorQuantizer(form.precision == "int8-dynamic"), form)


class Kept:
    """The weights that are not float in what inductor lowers, noted when it has chosen its kernels.

    Attributes:
        weights: Name of each, kind, and names of the constants that are given to a kernel together with it.
    """

    def __init__(self) -> None:
        self.weights: list[tuple[str, str, frozenset[str]]] = []

    def note(self, graph: fx.Graph) -> None:
        """Notes the weights of a graph."""
        for node in graph.nodes:
            if node.op != "get_attr" or not node.users:
                continue
            if kind := kind_of(attrgetter(str(node.target))(graph.owning_module)):
                given = (each for user in node.users for each in user.all_input_nodes if each.op == "get_attr")
                self.weights.append((str(node.target), kind, frozenset(str(each.target) for each in given)))


def options(form: Form, kept: Kept) -> dict[str, object]:
    """Returns settings of inductor: it chooses kernels of 8 bits where weights are known to be constants."""

    def note(graph: fx.Graph) -> None:
        kept.note(graph)

    # A function, since inductor copies objects among its settings.
    return {"freezing": form.precision.startswith("int8"), "post_grad_custom_post_pass": note}


def found(kept: Kept, compiled: ExportedProgram, names: Sequence[str]) -> dict[str, str]:
    """Returns the precision of the layers that are not float in a package, by name.

    Args:
        kept: Was given to the compiler.
        compiled: The graph that was compiled.
        names: Of the layers of the model.
    """
    # Weights are packed and lose their names; their scales do not.
    places = dict(_scales(compiled))
    kinds = (
        (next((places[each] for each in given if each in places), weight.rpartition(".")[0]), kind)
        for weight, kind, given in kept.weights
    )
    return {name: kind for place, kind in kinds if (name := layers.at(place, names)) is not None}


def _scales(exported: ExportedProgram) -> Iterator[tuple[str, str]]:
    """Yields the name of the scale of each quantized weight, and the path of the module that uses the weight."""
    buffers = exported.graph_signature.inputs_to_buffers
    for node in exported.graph.nodes:
        if "dequantize_per_channel" not in str(node.target):
            continue
        for user in node.users:
            if stack := user.meta.get("nn_module_stack"):
                yield buffers[node.args[1].name], list(stack.values())[-1][0]
