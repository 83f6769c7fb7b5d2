"""The precisions of AOTInductor: PT2E with the quantizer of inductor, and bfloat16."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from deploypipe.precision import Refusal
from deploypipe.runtimes.aoti import package
from deploypipe.runtimes.torch_session import layer_at

if TYPE_CHECKING:
    from torch.export import ExportedProgram

    from deploypipe.capture import Program
    from deploypipe.runtimes.protocol import Form

PRECISIONS = ("fp32", "bf16", "int8-dynamic", "int8-static")
REFUSED: Mapping[str, Refusal] = {
    "int8-weight": Refusal(
        "torch's product of floats and 8-bit weights takes over 20 times as long as one of floats alone",
        "int8-dynamic",
    ),
    "int4-weight": Refusal(
        "torch packs 4-bit weights in an order that depends on the processor, so that another one reads others",
        "int4-weight on executorch",
    ),
}
_KINDS = {"int8": "int8", "uint8": "uint8", "bfloat16": "bf16"}


def graph(program: Program, form: Form) -> ExportedProgram:
    """Returns the graph that is compiled for a form.

    Raises:
        DeployError: The precision cannot be had for this model; the text says why.
    """
    exported = program.decomposed() if form.decomposed else program.exported()
    if form.precision == "fp32":
        return exported
    from deploypipe.runtimes import bfloat16, pt2e

    if form.precision == "bf16":
        return bfloat16.graph_form(program, exported, form)
    from deploypipe.runtimes.aoti.quantizer import InductorQuantizer

    return pt2e.quantized(program, exported, InductorQuantizer(form.precision == "int8-dynamic"), form)


def options(form: Form) -> dict[str, object]:
    """Returns settings of inductor for a form: 8-bit kernels are chosen where constants are known to be constants."""
    return {"freezing": form.precision.startswith("int8")}


def found(source: str, compiled: ExportedProgram, names: Sequence[str]) -> dict[str, str]:
    """Returns the precision of the layers that are not float in a package, by name.

    Args:
        source: What `package.slim` returned.
        compiled: The graph that the package was made of.
        names: Of the layers of the model.
    """
    constants = package.constants(source)
    kinds = {each.origin.rpartition(".")[0]: _KINDS[each.dtype] for each in constants if _is_weight(each)}
    scales = {each.origin for each in constants if each.in_kernel}
    # Weights are packed and lose their names; their scales do not.
    kinds |= {place: "int8" for scale, place in _scales(compiled) if scale in scales}
    return {name: kind for place, kind in kinds.items() if (name := layer_at(place, names)) is not None}


def _is_weight(constant: package.Constant) -> bool:
    return constant.axes >= 2 and constant.dtype in _KINDS


def _scales(exported: ExportedProgram) -> Iterator[tuple[str, str]]:
    """Yields the name of the scale of each quantized weight, and the path of the module that uses the weight."""
    buffers = exported.graph_signature.inputs_to_buffers
    for node in exported.graph.nodes:
        if "dequantize_per_channel" not in str(node.target):
            continue
        for user in node.users:
            if stack := user.meta.get("nn_module_stack"):
                yield buffers[node.args[1].name], list(stack.values())[-1][0]
