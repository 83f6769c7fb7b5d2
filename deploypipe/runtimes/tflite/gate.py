"""What tflite-runtime 2.14 cannot read, and what it reads without a word and computes wrongly.

Converters and quantizers of today write operators with the version that they had before 2.14, and rely on what
was added to them since. Every rule here was measured: tests/runtimes/tflite/test_gate.py shows the wrong numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deploypipe.runtimes.tflite import flatbuffer
from deploypipe.runtimes.tflite.legacy_versions import VERSIONS

# Types of tensors that came after 2.14, or whose kernels did.
_LATER_TYPES = ("INT4", "BFLOAT16", "INT2", "UINT4", "FLOAT8_E4M3FN", "FLOAT8_E5M2")
# An operator that it has no kernel of for the type of its first input.
_NO_KERNEL = {
    "SQRT": ("INT8", "INT16"),
    "RSQRT": ("INT16",),
    "GELU": ("INT16",),
    "DIV": ("INT8", "INT16"),
    "SUM": ("INT16",),
    "NOT_EQUAL": ("INT16",),
    "DYNAMIC_UPDATE_SLICE": ("INT16",),
}
# These hand tensors on to another subgraph and compute nothing.
_CALLS = ("WHILE", "IF", "CALL_ONCE")


@dataclass(frozen=True)
class _Operator:
    """An operator as the rules look at it.

    Attributes:
        kind: Name in the schema.
        label: Kind and the name of the first output.
        inputs: Its tensors; None where an optional one is left out.
        outputs: Its tensors.
    """

    kind: str
    label: str
    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]


def refusals(content: bytes) -> list[str]:
    """Returns a sentence for each thing in a `.tflite` file that 2.14 cannot read or would compute wrongly."""
    model = flatbuffer.parse(content)
    found = [*_operator_codes(model), *_tensors(model)]
    for operator in _operators(model):
        found += [*_types(operator), *_weights(operator)]
    return list(dict.fromkeys(found))


def _operator_codes(model: Any) -> Iterator[str]:
    for code in model.operatorCodes:
        name = _builtins()[max(code.builtinCode, code.deprecatedBuiltinCode)]
        oldest, newest = VERSIONS.get(name, (0, 0))
        if name == "CUSTOM":
            yield f"The operator '{(code.customCode or b'').decode()}' is a custom one, without a kernel there"
        elif not newest:
            yield f"The operator {name} is not known"
        elif not oldest <= code.version <= newest:
            known = f"version {newest}" if oldest == newest else f"versions {oldest} to {newest}"
            yield f"The operator {name} has version {code.version}; known is {known}"


def _tensors(model: Any) -> Iterator[str]:
    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors:
            if _type(tensor) in _LATER_TYPES:
                how = "is taken for whole bytes" if _type(tensor) == "INT4" else "is not known"
                yield f"The tensor '{_name(tensor)}' is {_type(tensor)}, which {how}"


def _types(operator: _Operator) -> Iterator[str]:
    kind = _type(operator.inputs[0]) if operator.inputs and operator.inputs[0] else ""
    if kind in _NO_KERNEL.get(operator.kind, ()):
        yield f"{operator.label} has no kernel for {kind}"


def _weights(operator: _Operator) -> Iterator[str]:
    """Looks at 8-bit weights: newer runtimes take one scale per channel in more operators."""
    weights = next((each for each in reversed(operator.inputs) if each and _type(each) == "INT8"), None)
    if weights is None or operator.kind in _CALLS:
        return
    scales = f"the scales of '{_name(weights)}'"
    if operator.kind == "BATCH_MATMUL":
        yield from _matmul(operator, scales)
    elif not _hybrid(operator):
        return
    elif operator.kind in {"FULLY_CONNECTED", "EMBEDDING_LOOKUP"}:
        if _scales(weights) > 1:
            yield f"{operator.label} ignores {scales}: it takes one for the whole tensor from float to 8-bit weights"
    elif operator.kind in {"CONV_2D", "DEPTHWISE_CONV_2D"}:
        if _scales(weights) < _scales_read(operator, weights):
            yield f"{operator.label} reads beyond {scales}: it takes one per channel"
    else:
        yield f"{operator.label} has no kernel for float activations with 8-bit weights"


def _matmul(operator: _Operator, scales: str) -> Iterator[str]:
    """Quantized or not, it takes one scale for each operand."""
    operands = operator.inputs[:2]
    if any(_scales(each) > 1 for each in operands):
        yield f"{operator.label} ignores {scales}: it takes one for the whole tensor"
    if "INT16" in {_type(each) for each in operands}:
        yield f"{operator.label} has no kernel for INT16 activations with INT8 weights"


def _hybrid(operator: _Operator) -> bool:
    """Tells whether activations are floats; those of a table are indices, so that its output tells."""
    floats = operator.outputs if operator.kind == "EMBEDDING_LOOKUP" else operator.inputs
    return operator.kind != "DEQUANTIZE" and any(each and _type(each) == "FLOAT32" for each in floats)


def _scales(tensor: Any) -> int:
    scale = tensor.quantization.scale if tensor.quantization else None
    return 0 if scale is None else len(scale)


def _scales_read(operator: _Operator, filters: Any) -> int:
    """Returns how many scales a hybrid convolution reads; filters are [out, height, width, in / groups]."""
    images, shape = flatbuffer.shape_of(operator.inputs[0]), flatbuffer.shape_of(filters)
    if operator.kind == "DEPTHWISE_CONV_2D":
        return shape[3]
    return shape[0] if images[3] != shape[3] else 1


def _operators(model: Any) -> Iterator[_Operator]:
    for subgraph, operator in flatbuffer.operators(model):
        kind = _builtins()[flatbuffer.builtin_of(model, operator)]
        inputs = tuple(subgraph.tensors[index] if index >= 0 else None for index in _indices(operator.inputs))
        outputs = tuple(subgraph.tensors[index] for index in _indices(operator.outputs))
        yield _Operator(kind, f"{kind} '{_name(outputs[0])}'" if outputs else kind, inputs, outputs)


def _indices(found: Any) -> list[int]:
    return [] if found is None else [int(index) for index in found]


def _name(tensor: Any) -> str:
    return (tensor.name or b"").decode(errors="replace")


def _type(tensor: Any) -> str:
    return _tensor_types()[tensor.type]


def _builtins() -> Mapping[int, str]:
    return flatbuffer.names(flatbuffer.schema().BuiltinOperator)


def _tensor_types() -> Mapping[int, str]:
    return flatbuffer.names(flatbuffer.schema().TensorType)
