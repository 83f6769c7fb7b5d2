"""The precisions of ExecuTorch: PT2E with XNNPACK's quantizer, and torchao's 4-bit weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from deploypipe import layers
from deploypipe.precision import Refusal

if TYPE_CHECKING:
    import torch
    from torch import nn
    from torch.export import ExportedProgram

    from deploypipe.capture import Program
    from deploypipe.layers import Layer, LayerState
    from deploypipe.runtimes.protocol import Form

PRECISIONS = ("fp32", "int8-dynamic", "int8-static", "int4-weight")
REFUSED: Mapping[str, Refusal] = {
    "bf16": Refusal("XNNPACK has no bfloat16 kernels", "int8-dynamic"),
    "int8-weight": Refusal(
        "XNNPACK drops the scale of weights whose activations stay float, without an error", "int8-dynamic"
    ),
}
# Weights that share a scale of 4 bits; XNNPACK takes multiples of 32.
GROUP = 32


def prepare(module: nn.Module, form: Form) -> nn.Module:
    """Puts layers with 8-bit weights in the place of those that have such a form.

    The products of a decomposed LLTM are linear layers, which are quantized in the graph: its own 8-bit form would
    be unpacked to floats in the file.
    """
    from deploypipe.ops import LLTM, LLTMCell
    from deploypipe.runtimes.quantized_forms import quantized_form, quantized_forms, replaced

    if not form.decomposed:
        return quantized_forms(module, form)
    return replaced(module, form, lambda layer: None if isinstance(layer, LLTM | LLTMCell) else quantized_form(layer))


def of_the_weights(program: Program, form: Form) -> ExportedProgram:
    """Returns the graph of a form in which weights that are quantized before the export are.

    Raises:
        DeployError: The reference of an op cannot follow a dynamic axis.
    """
    if form.precision != "int4-weight":
        return program.decomposed() if form.decomposed else program.exported()
    exported = _with_weights_of_4_bits(program, form)
    if not form.decomposed:
        return exported
    from deploypipe.oplib import registry

    decomposed: ExportedProgram = exported.run_decompositions(registry.references(program.facts.ops))
    return decomposed


def of_the_graph(program: Program, exported: ExportedProgram, form: Form) -> ExportedProgram:
    """Quantizes what is left in a graph.

    Raises:
        DeployError: There is no calibration data, or the graph cannot be quantized; the text says why.
    """
    if form.precision == "fp32":
        return exported
    from deploypipe.runtimes import pt2e

    return pt2e.quantized(program, exported, _quantizer(form.precision), form)


def partitioner(form: Form) -> Any:
    """Returns what chooses the nodes for XNNPACK.

    Beside convolutions of bytes, a mean in XNNPACK lets the rows above an earlier batch come out wrong, or ends the
    process, once the batch grows; the kernel of ExecuTorch itself computes it then.
    """
    from executorch.backends.xnnpack.partition.config import ALL_PARTITIONER_CONFIGS
    from executorch.backends.xnnpack.partition.config.generic_node_configs import MeanDimConfig
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner

    if form.precision != "int8-static":
        return XnnpackPartitioner()
    return XnnpackPartitioner(configs=[each for each in ALL_PARTITIONER_CONFIGS if each is not MeanDimConfig])


def states(program: Program, form: Form, lowered: ExportedProgram) -> tuple[LayerState, ...]:
    """Returns what became of each layer, as found in the graph outside the delegates and in each of them.

    Raises:
        DeployError: Something other than fp32 was asked for, and all stayed float.
    """
    from deploypipe.oplib.float_inputs import float_layers
    from deploypipe.runtimes import pt2e

    found = pt2e.layers(_graphs(lowered), [layer.name for layer in program.layers])
    needed = float_layers(program.exported().graph, ())

    def why(layer: Layer) -> str:
        return layers.NEEDED if layer.name in needed else f"XNNPACK has no {form.precision} form of it"

    return layers.states(program.layers, found, why, form.precision, form.kept_float)


def _graphs(lowered: ExportedProgram) -> Iterator[torch.fx.Graph]:
    yield lowered.graph
    for _, part in lowered.graph_module.named_children():
        if (original := getattr(part, "original_module", None)) is not None:
            yield original.graph


def _with_weights_of_4_bits(program: Program, form: Form) -> ExportedProgram:
    """Exports the program again, with 4-bit weights in the linear layers that can have them."""
    import torch
    from torchao.quantization import Int8DynamicActivationIntxWeightConfig, quantize_
    from torchao.quantization.granularity import PerGroup

    from deploypipe.oplib.float_inputs import float_layers
    from deploypipe.runtimes.reexport import export

    int4: Any = vars(torch)["int4"]  # unknown to the stubs of torch
    exported, module = program.exported(), program.module()
    floats = float_layers(exported.graph, form.kept_float)
    config = Int8DynamicActivationIntxWeightConfig(weight_dtype=int4, weight_granularity=PerGroup(GROUP))
    quantize_(module, config, lambda part, name: name not in floats and _takes_4_bits(part))
    return export(program, module, exported)


def _takes_4_bits(part: Any) -> bool:
    import torch

    special = torch.nn.modules.linear.NonDynamicallyQuantizableLinear
    return isinstance(part, torch.nn.Linear) and not isinstance(part, special) and part.in_features % GROUP == 0


def _quantizer(precision: str) -> Any:
    """Returns XNNPACK's quantizer, with a scale per channel of the weights.

    Where weights of 4 bits are asked for, the linear layers that cannot have them have 8.
    """
    import torch
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import get_symmetric_quantization_config

    config = get_symmetric_quantization_config(is_per_channel=True, is_dynamic=precision != "int8-static")
    quantizer = _quantizer_class()()
    if precision == "int4-weight":
        return quantizer.set_operator_type(torch.ops.aten.linear.default, config).set_filter_function(_is_float)
    return quantizer.set_global(config)


def _is_float(node: torch.fx.Node) -> bool:
    from deploypipe.runtimes import pt2e

    return not any(map(pt2e.dequantizes, node.all_input_nodes))


def _quantizer_class() -> Any:
    import torch
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import XNNPACKQuantizer

    from deploypipe.runtimes import pt2e

    aten = torch.ops.aten
    means = (aten.mean.default, aten.mean.dim, aten.adaptive_avg_pool2d.default)

    class Mended(XNNPACKQuantizer):  # type: ignore[misc]
        """XNNPACK's quantizer without what goes wrong in it."""

        def transform_for_annotation(self, model: torch.fx.GraphModule) -> torch.fx.GraphModule:
            """Leaves the numbers in sums and products of integers, which it would turn into floats."""
            integers = {node: node.args for node in model.graph.nodes if not _gives_floats(node)}
            changed: torch.fx.GraphModule = super().transform_for_annotation(model)
            for node, args in integers.items():
                node.args = args
            return changed

        def annotate(self, model: torch.fx.GraphModule) -> torch.fx.GraphModule:
            """Leaves means float; see `partitioner`."""
            pt2e.leave(node for node in model.graph.nodes if node.target in means)
            annotated: torch.fx.GraphModule = super().annotate(model)
            return annotated

    return Mended


def _gives_floats(node: torch.fx.Node) -> bool:
    value = node.meta.get("val")
    return getattr(value, "is_floating_point", bool)()
