"""Models of custom ops and nothing else, written without a converter: they test op libraries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploypipe.runtimes.tflite import flatbuffer

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Call:
    """A node.

    Attributes:
        code: Of the custom op.
        inputs: Names of tensors.
        outputs: Likewise.
    """

    code: str
    inputs: Sequence[str]
    outputs: Sequence[str]


def write(
    tensors: Mapping[str, tuple[str, Sizes]], calls: Sequence[Call], inputs: Sequence[str], outputs: Sequence[str]
) -> bytes:
    """Writes a model with one signature.

    Args:
        tensors: Data type and shape of every tensor, by its name.
        calls: The nodes in their order.
        inputs: Of the signature.
        outputs: Likewise.

    Returns:
        The content of the file.
    """
    kinds = flatbuffer.schema()
    places = {name: index for index, name in enumerate(tensors)}
    graph = kinds.SubGraphT()
    graph.tensors = []
    for name, (dtype, shape) in tensors.items():
        flatbuffer.add_tensor(graph, name, shape, getattr(kinds.TensorType, dtype.upper()))
    graph.inputs, graph.outputs = [places[name] for name in inputs], [places[name] for name in outputs]
    codes = sorted({call.code for call in calls})
    graph.operators = [_operator(call, codes.index(call.code), places) for call in calls]
    model = kinds.ModelT()
    model.version, model.subgraphs, model.buffers = 3, [graph], [kinds.BufferT()]
    model.operatorCodes = [_custom(code) for code in codes]
    model.signatureDefs = [_signature(inputs, outputs, places)]
    return flatbuffer.write(model)


def _operator(call: Call, code: int, places: Mapping[str, int]) -> Any:
    operator = flatbuffer.schema().OperatorT()
    operator.opcodeIndex = code
    operator.inputs, operator.outputs = [places[name] for name in call.inputs], [places[name] for name in call.outputs]
    return operator


def _custom(name: str) -> Any:
    kinds = flatbuffer.schema()
    code = kinds.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = kinds.BuiltinOperator.CUSTOM
    code.customCode, code.version = name.encode(), 1
    return code


def _signature(inputs: Sequence[str], outputs: Sequence[str], places: Mapping[str, int]) -> Any:
    signature = flatbuffer.schema().SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = flatbuffer.SIGNATURE.encode(), 0
    signature.inputs, signature.outputs = (
        [flatbuffer.tensor_map(name.encode(), places[name]) for name in names] for names in (inputs, outputs)
    )
    return signature
