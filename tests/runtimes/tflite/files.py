"""Small `.tflite` files of one operator each, and how newer tools quantize them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from deploypipe.runtimes.tflite import flatbuffer

Array = np.ndarray[Any, Any]
Recipe = Callable[[Any], object]

FLOAT, INT32, INT64 = "float32", "int32", "int64"
# Sizes: 16 channels out of 8 or 32, whose weights differ so much that one scale instead of another is noticed.
OUT = 16


def weights(*shape: int) -> Array:
    """Returns weights whose first axis is the channels."""
    spread = np.linspace(0.05, 3, shape[0]).reshape(-1, *[1] * (len(shape) - 1))
    return (np.random.default_rng(0).standard_normal(shape) * spread).astype(np.float32)


def empty() -> tuple[Any, Any]:
    """Returns a model with an empty graph, and that graph."""
    kinds = flatbuffer.schema()
    model, graph = kinds.ModelT(), kinds.SubGraphT()
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [], [graph], [kinds.BufferT()]
    model.signatureDefs = []
    graph.tensors, graph.inputs, graph.outputs, graph.operators = [], [], [], []
    return model, graph


def sign(model: Any, key: str = flatbuffer.SIGNATURE, subgraph: int = 0) -> None:
    """Adds a signature of all inputs and outputs of a graph, under the names of their tensors."""
    kinds = flatbuffer.schema()
    graph, signature = model.subgraphs[subgraph], kinds.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = key.encode(), subgraph
    signature.inputs, signature.outputs = (
        [_map(graph.tensors[index].name, index) for index in indices] for indices in (graph.inputs, graph.outputs)
    )
    model.signatureDefs.append(signature)


def _map(name: bytes, index: int) -> Any:
    found = flatbuffer.schema().TensorMapT()
    found.name, found.tensorIndex = name, index
    return found


def operator(
    builtin: str,
    inputs: Sequence[tuple[str, Sequence[int]] | Array],
    output: Sequence[int],
    options: Any = None,
    version: int = 1,
    dtype: str = FLOAT,
) -> bytes:
    """Returns a file of one operator.

    Args:
        builtin: Name in the schema.
        inputs: In order: dtype and shape of an input of the model, or the value of a constant.
        output: The shape of the output; -1 is open, here and in inputs.
        options: Of the operator.
        version: Of the operator.
        dtype: Of the output.
    """
    model, graph = empty()
    taken = []
    for number, given in enumerate(inputs):
        if isinstance(given, np.ndarray):
            taken.append(flatbuffer.add_constant(model, graph, f"constant_{number}", given))
        else:
            taken.append(flatbuffer.add_tensor(graph, f"input_{number}", given[1], kind(given[0])))
            graph.inputs.append(taken[-1])
    graph.outputs.append(flatbuffer.add_tensor(graph, "out", output, kind(dtype)))
    graph.operators.append(flatbuffer.add_operator(model, builtin, version, taken, graph.outputs, options))
    for tensor in graph.tensors:
        tensor.quantization = flatbuffer.schema().QuantizationParametersT()
    sign(model)
    return flatbuffer.inline(model)


def kind(dtype: str) -> int:
    """Returns the schema's number of a dtype."""
    return next(number for number, found in flatbuffer.dtypes().items() if found == np.dtype(dtype))


def dense() -> bytes:
    """Returns FULLY_CONNECTED."""
    options = flatbuffer.schema().FullyConnectedOptionsT()
    return operator("FULLY_CONNECTED", [(FLOAT, (4, 32)), weights(OUT, 32), weights(OUT)], (4, OUT), options)


def convolution(groups: int = 1) -> bytes:
    """Returns CONV_2D, 3 x 3."""
    options = _strided(flatbuffer.schema().Conv2DOptionsT())
    filters = weights(OUT, 3, 3, 8 // groups)
    return operator("CONV_2D", [(FLOAT, (2, 8, 8, 8)), filters, weights(OUT)], (2, 8, 8, OUT), options)


def depthwise() -> bytes:
    """Returns DEPTHWISE_CONV_2D, 3 x 3."""
    options = _strided(flatbuffer.schema().DepthwiseConv2DOptionsT())
    options.depthMultiplier = 1
    filters = np.ascontiguousarray(weights(OUT, 1, 3, 3).transpose(1, 2, 3, 0))
    inputs = [(FLOAT, (2, 8, 8, OUT)), filters, weights(OUT)]
    return operator("DEPTHWISE_CONV_2D", inputs, (2, 8, 8, OUT), options)


def transposed_convolution() -> bytes:
    """Returns TRANSPOSE_CONV, twice as large."""
    options = flatbuffer.schema().TransposeConvOptionsT()
    options.strideH = options.strideW = 2
    sizes = np.array([2, 8, 8, OUT], np.int32)
    inputs = [sizes, weights(OUT, 3, 3, 8), (FLOAT, (2, 4, 4, 8)), weights(OUT)]
    return operator("TRANSPOSE_CONV", inputs, (2, 8, 8, OUT), options, version=3)


def embedding() -> bytes:
    """Returns EMBEDDING_LOOKUP."""
    return operator("EMBEDDING_LOOKUP", [(INT32, (6,)), weights(20, OUT)], (6, OUT))


def matmul() -> bytes:
    """Returns BATCH_MATMUL with a constant."""
    options = flatbuffer.schema().BatchMatMulOptionsT()
    constant = np.ascontiguousarray(weights(OUT, 2, 32).transpose(1, 2, 0))
    return operator("BATCH_MATMUL", [(FLOAT, (2, 4, 32)), constant], (2, 4, OUT), options)


def elementwise(builtin: str, count: int = 1, dtype: str = FLOAT) -> bytes:
    """Returns an operator of inputs of one shape, the default of its options."""
    name = {"GELU": "GeluOptionsT", "DIV": "DivOptionsT", "NOT_EQUAL": "NotEqualOptionsT"}.get(builtin)
    options = getattr(flatbuffer.schema(), name)() if name else None
    return operator(builtin, [(FLOAT, (4, 8))] * count, (4, 8), options, dtype=dtype)


def total() -> bytes:
    """Returns SUM over the last axis."""
    options = flatbuffer.schema().ReducerOptionsT()
    return operator("SUM", [(FLOAT, (4, 8)), np.array([1], np.int32)], (4,), options)


def update() -> bytes:
    """Returns DYNAMIC_UPDATE_SLICE, of a row in the middle."""
    options = flatbuffer.schema().DynamicUpdateSliceOptionsT()
    where = np.array([1, 0], np.int32)
    return operator("DYNAMIC_UPDATE_SLICE", [(FLOAT, (4, 8)), (FLOAT, (1, 8)), where], (4, 8), options)


def _strided(options: Any) -> Any:
    options.strideH = options.strideW = options.dilationHFactor = options.dilationWFactor = 1
    return options


def arrays(content: bytes, seed: int = 0) -> list[Array]:
    """Returns random inputs for a file: positive floats or small indices."""
    generator = np.random.default_rng(seed)
    return [
        generator.integers(0, 20, each["shape"]).astype(each["dtype"])
        if np.issubdtype(each["dtype"], np.integer)
        else (np.abs(generator.standard_normal(each["shape"])) + 0.1).astype(each["dtype"])
        for each in interpreter(content).get_input_details()
    ]


def run(content: bytes, inputs: Sequence[Array]) -> Array:
    """Runs a file in the runtime of today."""
    loaded = interpreter(content)
    for each, array in zip(loaded.get_input_details(), inputs, strict=True):
        loaded.set_tensor(each["index"], array)
    loaded.invoke()
    found: Array = loaded.get_tensor(loaded.get_output_details()[0]["index"])
    return found


def interpreter(content: bytes) -> Any:
    """Returns a file in the runtime of today."""
    from ai_edge_litert.interpreter import Interpreter

    made = Interpreter(model_content=content)
    made.allocate_tensors()
    return made


def quantized(content: bytes, recipe: Recipe) -> bytes:
    """Quantizes a file as the recipe says; its inputs and outputs stay floats."""
    from ai_edge_quantizer import quantizer

    made = quantizer.Quantizer(content)
    recipe(made)
    calibration = None
    if made.need_calibration:
        names = [each["name"].removeprefix("serving_default_") for each in interpreter(content).get_input_details()]
        cases = [dict(zip(names, arrays(content, seed), strict=True)) for seed in range(8)]
        calibration = made.calibrate({flatbuffer.SIGNATURE: cases})
    return bytes(made.quantize(calibration).quantized_model)


def dynamic(bits: int, granularity: str) -> Recipe:
    """Returns a recipe: weights of some bits, activations quantized when they are there."""
    from ai_edge_quantizer.qtyping import QuantGranularity, TFLOperationName

    return lambda made: made.add_dynamic_config(
        ".*", TFLOperationName.ALL_SUPPORTED, bits, QuantGranularity[granularity]
    )


def weight_only(bits: int, granularity: str) -> Recipe:
    """Returns a recipe: weights of some bits, which become floats before they are used."""
    from ai_edge_quantizer.qtyping import QuantGranularity, TFLOperationName

    return lambda made: made.add_weight_only_config(
        ".*", TFLOperationName.ALL_SUPPORTED, bits, QuantGranularity[granularity]
    )


def static(bits: int, granularity: str) -> Recipe:
    """Returns a recipe: weights of 8 bits, activations of some."""
    from ai_edge_quantizer.qtyping import QuantGranularity, TFLOperationName

    def recipe(made: Any) -> None:
        every, scales = TFLOperationName.ALL_SUPPORTED, QuantGranularity[granularity]
        made.add_static_config(".*", every, bits, 8, weight_granularity=scales)
        for end in (TFLOperationName.INPUT, TFLOperationName.OUTPUT):
            made.update_quantization_recipe(".*", end, algorithm_key="no_quantize")

    return recipe
