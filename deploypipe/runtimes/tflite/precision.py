"""Quantization of a converted file, by ai-edge-quantizer: weights, and activations that are calibrated."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from deploypipe import layers
from deploypipe.errors import DeployError, first_line
from deploypipe.precision import Refusal
from deploypipe.runtimes.protocol import Form
from deploypipe.runtimes.tflite import flatbuffer, kept_float, marks

if TYPE_CHECKING:
    from deploypipe.capture import Program
    from deploypipe.layers import Layer, LayerState

PRECISIONS = ("fp32", "int8-dynamic", "int8-static", "int8-weight", "int4-weight")
REFUSED = {
    "bf16": Refusal(
        "litert-torch cannot write weights in bfloat16, nor does ai-edge-quantizer make such of floats", "int8-weight"
    )
}

# Numbers in a row of a table, below which its rows share one scale.
NARROW = 48
# The same for a fully connected layer, where a scale for each row goes with a zero point: together 12 bytes.
NARROW_LAYER = 160


def quantized(content: bytes, program: Program, form: Form, legacy: bool) -> tuple[bytes, dict[str, str]]:
    """Quantizes a file; inputs and outputs keep their types.

    Args:
        content: With every constant inside the flatbuffer, and operators that are marked.
        program: Gives the calibration data.
        form: One of `PRECISIONS`, and the layers that stay float.
        legacy: For tflite-runtime, which reads a fully connected layer with a scale per channel wrongly where
            activations are float.

    Returns:
        The file, and facts for the manifest.

    Raises:
        DeployError: The precision cannot be had for this model; the text says why.
    """
    if form.precision == "fp32":
        return content, {}
    model = flatbuffer.parse(content)
    kept = kept_float.rename(model, form.kept_float)
    after = _run(model, program, form.precision, legacy)
    found = flatbuffer.parse(after)
    count = _quantized_tensors(found)
    return after, {"quantized_tensors": str(count), "operators_kept_float": str(kept)}


def states(content: bytes, program: Program, form: Form) -> tuple[LayerState, ...]:
    """Returns what became of each layer, read off a file whose operators are marked."""
    found = marks.weights_of(flatbuffer.parse(content))

    def why(layer: Layer) -> str:
        if layer.name not in found:
            return "no operator of the file has its weights"
        weights = found[layer.name]
        if weights.output.startswith(kept_float.PREFIX.encode()):
            return layers.NEEDED
        return f"ai-edge-quantizer has no {form.precision} of {weights.operator}"

    precisions = {name: each.precision for name, each in found.items() if each.precision}
    return layers.states(program.layers, precisions, why, form.precision, form.kept_float)


def _run(model: flatbuffer.Model, program: Program, precision: str, legacy: bool) -> bytes:
    from ai_edge_quantizer import quantizer

    from deploypipe.runtimes.tflite import statistics

    work = quantizer.Quantizer(bytearray(flatbuffer.inline(model)))
    _recipe(work, model, precision, legacy)
    try:
        found = statistics.of(work, model, program) if work.need_calibration else None
        result = work.quantize(found, enable_progress_bar=False, enable_progress_report=False)
    except DeployError:
        raise
    except Exception as error:
        raise DeployError(
            f"The model cannot be quantized to {precision}: {first_line(error)}",
            "Take another precision.",
        ) from error
    return bytes(result.quantized_model)


def _recipe(work: Any, model: flatbuffer.Model, precision: str, legacy: bool) -> None:
    """Says what is quantized; a later rule overrides an earlier one."""
    from ai_edge_quantizer import algorithm_manager, qtyping

    names = qtyping.TFLOperationName
    per_tensor, per_channel = qtyping.QuantGranularity.TENSORWISE, qtyping.QuantGranularity.CHANNELWISE
    bits = 4 if precision == "int4-weight" else 8
    # With 15 levels it pays to clip the largest weights; OCTAV finds where.
    algorithms = algorithm_manager.AlgorithmName
    algorithm = algorithms.OCTAV if bits == 4 else algorithms.MIN_MAX_UNIFORM_QUANT
    if precision == "int8-dynamic":
        _dynamic(work, names, per_tensor, legacy)
        for scope in _narrow_layers(model):
            work.add_dynamic_config(scope, names.FULLY_CONNECTED, num_bits=8, granularity=per_tensor)
    elif precision == "int8-static":
        _static(work, names, per_tensor, legacy)
    else:
        work.add_weight_only_config(".*", names.ALL_SUPPORTED, num_bits=bits, algorithm_key=algorithm)
    # There is no static form of a table, and a scale per row takes more room than a narrow row.
    granularity = per_tensor if legacy or _narrow_tables(model) else per_channel
    work.add_dynamic_config(
        ".*", names.EMBEDDING_LOOKUP, num_bits=bits, granularity=granularity, algorithm_key=algorithm
    )
    _leave(work, names.ALL_SUPPORTED, f"{kept_float.PREFIX}.*")


def _dynamic(work: Any, names: Any, per_tensor: Any, legacy: bool) -> None:
    """tflite-runtime reads one scale per tensor, and has no such form of a transposed convolution."""
    work.add_dynamic_config(".*", names.ALL_SUPPORTED, num_bits=8)
    if legacy:
        for name in (names.FULLY_CONNECTED, names.BATCH_MATMUL):
            work.add_dynamic_config(".*", name, num_bits=8, granularity=per_tensor)
        _leave(work, names.CONV_2D_TRANSPOSE)


def _static(work: Any, names: Any, per_tensor: Any, legacy: bool) -> None:
    """LiteRT reads one scale of a BATCH_MATMUL, whatever the file says."""
    work.add_static_config(".*", names.ALL_SUPPORTED, activation_num_bits=8, weight_num_bits=8)
    work.add_static_config(
        ".*", names.BATCH_MATMUL, activation_num_bits=8, weight_num_bits=8, weight_granularity=per_tensor
    )
    for name in (names.INPUT, names.OUTPUT, *((names.SQRT, names.DIV) if legacy else ())):
        _leave(work, name)


def _leave(work: Any, name: Any, scope: str = ".*") -> None:
    work.update_quantization_recipe(scope, name, algorithm_key="no_quantize")


def _narrow_tables(model: flatbuffer.Model) -> bool:
    return any(columns < NARROW for _, columns in _columns(model, "EMBEDDING_LOOKUP"))


def _narrow_layers(model: flatbuffer.Model) -> list[str]:
    """Returns what matches the outputs of the layers with narrow rows."""
    found = _columns(model, "FULLY_CONNECTED")
    return [f"^{re.escape(name)}" for name, columns in found if columns < NARROW_LAYER]


def _columns(model: flatbuffer.Model, operator: str) -> list[tuple[str, int]]:
    """Returns the name of the output, and the numbers in a row of the weights, of every operator of a kind."""
    kind = getattr(flatbuffer.schema().BuiltinOperator, operator)
    found = ((graph, each) for graph, each in flatbuffer.operators(model) if flatbuffer.builtin_of(model, each) == kind)
    return [
        (graph.tensors[each.outputs[0]].name.decode(), flatbuffer.shape_of(graph.tensors[each.inputs[1]])[-1])
        for graph, each in found
    ]


def _quantized_tensors(model: flatbuffer.Model) -> int:
    return sum(_is_quantized(tensor) for subgraph in model.subgraphs for tensor in subgraph.tensors)


def _is_quantized(tensor: flatbuffer.Tensor) -> bool:
    return (
        tensor.quantization is not None and tensor.quantization.scale is not None and len(tensor.quantization.scale) > 0
    )


def dtypes_of(content: bytes) -> Sequence[str]:
    """Returns the types of a file's tensors, each once."""
    model = flatbuffer.parse(content)
    names = flatbuffer.names(flatbuffer.schema().TensorType)
    return sorted({names[tensor.type] for subgraph in model.subgraphs for tensor in subgraph.tensors})
