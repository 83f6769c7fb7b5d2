"""Quantization of a converted file, by ai-edge-quantizer: weights, and activations that are calibrated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from deploypipe.errors import DeployError, first_line
from deploypipe.runtimes.tflite import flatbuffer, kept_float

if TYPE_CHECKING:
    import numpy as np

    from deploypipe.capture import Program

    Array = np.ndarray[Any, Any]

PRECISIONS = ("fp32", "int8-dynamic", "int8-static", "int8-weight", "int4-weight")
# Rows of calibration data that are used at most.
CALIBRATION_ROWS = 512

# Numbers in a row of a table, below which its rows share one scale.
NARROW = 48


def quantized(content: bytes, program: Program, precision: str, legacy: bool) -> tuple[bytes, dict[str, str]]:
    """Quantizes a file; inputs and outputs keep their types.

    Args:
        content: With every constant inside the flatbuffer.
        program: Gives the calibration data.
        precision: One of `PRECISIONS`.
        legacy: For tflite-runtime, which reads a fully connected layer with a scale per channel wrongly where
            activations are float.

    Returns:
        The file, and facts for the manifest.

    Raises:
        DeployError: The precision cannot be had for this model; the text says why.
    """
    if precision == "fp32":
        return content, {}
    model = flatbuffer.parse(content)
    if precision == "int8-static":
        _refuse_static(program, model)
    kept = kept_float.rename(model)
    after = _run(model, program, precision, legacy)
    notes = _notes(flatbuffer.parse(after), kept)
    if not notes["quantized_tensors"]:
        raise DeployError(
            f"There is nothing in the model that {precision} could quantize",
            "Take fp32: what its ops need stays float, and the rest has no weights.",
        )
    return after, {key: str(value) for key, value in notes.items()}


def _refuse_static(program: Program, model: flatbuffer.Model) -> None:
    if customs := flatbuffer.custom_codes(model):
        raise DeployError(
            f"{customs[0]} is a custom operator, through which activations cannot be calibrated",
            "Take the decomposed form, or int8-dynamic.",
        )
    if "WHILE" in flatbuffer.operator_names(model):
        raise DeployError(
            "Activations inside of a WHILE, by which a long sequence is run, cannot be calibrated",
            "Take int8-dynamic, or a shorter sequence.",
        )
    if not program.spec.calibration:
        raise DeployError("int8-static needs calibration data", "Give the model some: ModelSpec(calibration=...).")


def _run(model: flatbuffer.Model, program: Program, precision: str, legacy: bool) -> bytes:
    from ai_edge_quantizer import quantizer

    work = quantizer.Quantizer(bytearray(flatbuffer.inline(model)))
    _recipe(work, model, precision, legacy)
    try:
        # An empty calibration would make it run the model, which it cannot where there are custom operators.
        found = work.calibrate(_calibration(model, program), num_threads=1) if work.need_calibration else None
        result = work.quantize(found, enable_progress_bar=False, enable_progress_report=False)
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
    lookup = flatbuffer.schema().BuiltinOperator.EMBEDDING_LOOKUP
    found = (
        (graph, each) for graph, each in flatbuffer.operators(model) if flatbuffer.builtin_of(model, each) == lookup
    )
    return any(flatbuffer.shape_of(graph.tensors[each.inputs[1]])[-1] < NARROW for graph, each in found)


def _calibration(model: flatbuffer.Model, program: Program) -> dict[str, Iterable[dict[str, Array]]]:
    """Returns the calibration data in the sizes that the file has, by signature."""
    return {each.signatureKey.decode(): list(_samples(model, each, program)) for each in model.signatureDefs}


def _samples(model: flatbuffer.Model, signature: Any, program: Program) -> Iterator[dict[str, Array]]:
    graph = model.subgraphs[signature.subgraphIndex]
    shapes = {each.name.decode(): flatbuffer.shape_of(graph.tensors[each.tensorIndex]) for each in signature.inputs}
    names = [info.name for info in program.facts.inputs]
    rows = 0
    for batch in program.spec.calibration or ():
        arrays = [tensor.detach().numpy() for tensor in batch]
        for sample in _cut(dict(zip(names, arrays, strict=True)), shapes):
            if rows >= CALIBRATION_ROWS:
                return
            rows += next(iter(sample.values())).shape[0] if shapes else 1
            yield sample


def _cut(arrays: dict[str, Array], shapes: dict[str, tuple[int, ...]]) -> Iterator[dict[str, Array]]:
    """Cuts arrays into pieces of the shapes, the last one filled up with rows from the beginning."""
    sizes = [-(-array.shape[0] // shapes[name][0]) for name, array in arrays.items() if array.ndim]
    for piece in range(max(sizes, default=1)):
        yield {name: _piece(array, shapes[name], piece) for name, array in arrays.items()}


def _piece(array: Array, shape: Sequence[int], piece: int) -> Array:
    import numpy as np

    for axis, size in enumerate(shape):
        start = piece * size if axis == 0 else 0
        array = np.take(array, np.arange(start, start + size), axis, mode="wrap")
    return np.ascontiguousarray(array)


def _notes(model: flatbuffer.Model, kept: int) -> dict[str, int]:
    found = [tensor for subgraph in model.subgraphs for tensor in subgraph.tensors if _is_quantized(tensor)]
    return {"quantized_tensors": len(found), "operators_kept_float": kept}


def _is_quantized(tensor: flatbuffer.Tensor) -> bool:
    return (
        tensor.quantization is not None and tensor.quantization.scale is not None and len(tensor.quantization.scale) > 0
    )


def dtypes_of(content: bytes) -> Sequence[str]:
    """Returns the types of a file's tensors, each once."""
    model = flatbuffer.parse(content)
    names = flatbuffer.names(flatbuffer.schema().TensorType)
    return sorted({names[tensor.type] for subgraph in model.subgraphs for tensor in subgraph.tensors})
