"""Quantization of an exported file by onnxruntime.quantization; custom ops stay nodes with function bodies."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx
from onnxruntime import quantization
from onnxruntime.quantization.onnx_model import ONNXModel
from onnxruntime.quantization.quant_utils import add_pre_process_metadata

from deploypipe.errors import DeployError, first_line
from deploypipe.runtimes import calibration
from deploypipe.runtimes.onnx import constants, kept_float

if TYPE_CHECKING:
    import numpy as np

    from deploypipe.capture import Program
    from deploypipe.runtimes.protocol import Form

    Array = np.ndarray[Any, Any]

# Convolutions are left out, as ONNX Runtime advises: scales found at run time make mobilenet 7.5 times slower.
DYNAMIC = ("LSTM", "MatMul")
# What has weights, and the activations that are one with it. The other ops that could be calibrated gain nothing
# (mobilenet_v3_small: 0.55 against 0.57 ms) and can lose all: one mask of -inf makes the scale of an Add infinite.
STATIC = ("Clip", "Conv", "ConvTranspose", "Gemm", "MatMul", "Relu")
# Weights of 7 bits: without VNNI, x86 adds two products of 8 bits in 16 bits, which overflow. A file that is right
# on this machine would be wrong on such a one, and nobody would be told.
REDUCE_RANGE = True
# A bias stays float in the file, where it is smaller; from 1.21 on ONNX Runtime makes integers of it as it loads.
STATIC_OPTIONS = {"QuantizeBias": False}
# Weights that share a scale of 4 bits.
BLOCK = 32
# Of MatMulNBits: activations are quantized as they come. 26 us for the mlp, where float takes 34 and 0 takes 45.
ACCURACY_LEVEL = 4


def quantized(model: onnx.ModelProto, program: Program, form: Form) -> onnx.ModelProto:
    """Quantizes a file; inputs and outputs keep their types.

    Args:
        model: As it was exported, with its function bodies; it is changed.
        program: Gives the calibration data.
        form: Its precision is not fp32.

    Raises:
        DeployError: The precision cannot be had for this model; the text says why.
    """
    left = [f"{name}{suffix}" for name in kept_float.nodes(model, form.kept_float) for suffix in ("", "_MatMul")]
    floats = kept_float.needed(model)
    # The exporter has inferred shapes and folded constants already; ORT's own pre-processing would inline functions.
    add_pre_process_metadata(model)
    samples = _samples(program) if form.precision == "int8-static" else []
    try:
        result = _run(model, form.precision, left, samples)
    except Exception as error:
        raise DeployError(
            f"The model cannot be quantized to {form.precision}: {first_line(error)}", "Take another precision."
        ) from error
    kept_float.reconnect(result, floats)
    constants.narrow(result)
    return result


def _samples(program: Program) -> list[dict[str, Array]]:
    names = [info.name for info in program.facts.inputs]
    found = calibration.samples(program, "int8-static")
    return [{name: tensor.numpy() for name, tensor in zip(names, sample, strict=True)} for sample in found]


def _run(
    model: onnx.ModelProto, precision: str, left: Sequence[str], samples: Sequence[dict[str, Array]]
) -> onnx.ModelProto:
    if precision == "int4-weight":
        return _weights_of_4_bits(model, left)
    excluded = [*left, *_without_weights(model)]
    common = {"per_channel": True, "reduce_range": REDUCE_RANGE, "nodes_to_exclude": excluded}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "quantized.onnx"
        if precision == "int8-dynamic":
            quantization.quantize_dynamic(model, file, op_types_to_quantize=list(DYNAMIC), **common)
        else:
            quantization.quantize_static(
                model,
                file,
                _Reader(samples),
                op_types_to_quantize=list(STATIC),
                activation_type=quantization.QuantType.QUInt8,
                extra_options=dict(STATIC_OPTIONS),
                **common,
            )
        return onnx.load(file)


def _without_weights(model: onnx.ModelProto) -> list[str]:
    """Returns the names of the products of two activations: masks and scores have ranges that 8 bits do not hold."""
    weights = {tensor.name for tensor in model.graph.initializer}
    products = (node for node in model.graph.node if node.op_type in ("Conv", "ConvTranspose", "Gemm", "MatMul"))
    return [node.name for node in products if node.input[1] not in weights]


def _weights_of_4_bits(model: onnx.ModelProto, left: Sequence[str]) -> onnx.ModelProto:
    """Puts MatMulNBits in the place of each product with a constant matrix."""
    with _logging_as_it_was():
        from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    products = ONNXModel(model)
    products.replace_gemm_with_matmul()
    products.clean_initializers()
    quantizer = MatMulNBitsQuantizer(
        model, bits=4, block_size=BLOCK, accuracy_level=ACCURACY_LEVEL, nodes_to_exclude=list(left)
    )
    quantizer.process()
    return quantizer.model.model


@contextmanager
def _logging_as_it_was() -> Iterator[None]:
    """Undoes that an import sets up logging for the whole process."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


class _Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
    """Hands out calibration data, one sample at a time."""

    def __init__(self, samples: Sequence[dict[str, Array]]) -> None:
        self._samples = iter(samples)

    def get_next(self) -> dict[str, Array] | None:
        return next(self._samples, None)
