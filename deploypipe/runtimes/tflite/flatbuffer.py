"""`.tflite` files as objects: reading, looking around, adding to them, and writing them aligned.

The schema is that of TensorFlow Lite, version 3, in the object form that ai-edge-litert ships.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

IDENTIFIER = b"TFL3"
SIGNATURE = "serving_default"
# Bytes. The C API reads constants of custom ops in place and refuses any other address.
ALIGNMENT = 64

Model = Any
Subgraph = Any
Tensor = Any
Operator = Any


def schema() -> Any:
    """Returns the module that holds the schema."""
    from ai_edge_litert import schema_py_generated

    return schema_py_generated


def parse(content: bytes) -> Model:
    """Reads a file, with constants that lie behind the flatbuffer as if they lay in it."""
    import numpy as np

    model = schema().ModelT.InitFromPackedBuf(content, 0)
    for buffer in model.buffers:
        if buffer.offset > 1:
            buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    return model


def write(model: Model) -> bytes:
    """Writes a model; large constants and those of custom ops lie behind the flatbuffer, at multiples of 64.

    The sizes of the table do not depend on the values of the offsets, so it is packed twice.
    """
    moved = _moved(model)
    kept = [buffer.data for buffer in moved]
    for buffer in moved:
        # Not zero, which the format leaves out.
        buffer.data, buffer.offset, buffer.size = None, ALIGNMENT, ALIGNMENT
    end = _aligned(len(_packed(model)))
    for buffer, data in zip(moved, kept, strict=True):
        buffer.offset, buffer.size = end, len(data)
        end = _aligned(end + len(data))
    content = bytearray(_packed(model))
    for buffer, data in zip(moved, kept, strict=True):
        content.extend(bytes(buffer.offset - len(content)))
        content.extend(bytes(data))
        buffer.data, buffer.offset, buffer.size = data, 0, 0
    return bytes(content)


def _moved(model: Model) -> list[Any]:
    """Returns the buffers that must be aligned, large ones and what custom operators read."""
    read = {
        subgraph.tensors[index].buffer
        for subgraph, operator in operators(model)
        if custom_code(model, operator)
        for index in operator.inputs
        if index >= 0
    }
    found = {number: each for number, each in enumerate(model.buffers) if data_of(each) is not None}
    return [each for number, each in found.items() if number in read or len(each.data) >= ALIGNMENT]


def share_constants(model: Model) -> None:
    """Lets equal constants have one buffer: the parts of a loop and several signatures hold the same weights."""
    first: dict[bytes, int] = {}
    numbers = [
        first.setdefault(bytes(data), number) if (data := data_of(buffer)) is not None else number
        for number, buffer in enumerate(model.buffers)
    ]
    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors:
            tensor.buffer = numbers[tensor.buffer]
    for number, shared in enumerate(numbers):
        if shared != number:
            model.buffers[number].data = None


def drop_unused(model: Model) -> None:
    """Removes tensors that no operator, input or output is, and empties the buffers that nobody reads then."""
    for number, graph in enumerate(model.subgraphs):
        maps = [
            each
            for signature in model.signatureDefs
            if signature.subgraphIndex == number
            for each in (*signature.inputs, *signature.outputs)
        ]
        _keep(graph, maps)
    read = {each.buffer for each in model.metadata or ()}
    read.update(tensor.buffer for graph in model.subgraphs for tensor in graph.tensors)
    for number, buffer in enumerate(model.buffers):
        if number not in read:
            buffer.data = None


def _keep(graph: Subgraph, maps: Sequence[Any]) -> None:
    """Keeps of a subgraph the tensors that are used, and numbers them anew."""
    lists = [graph.inputs, graph.outputs]
    lists += [each for operator in graph.operators or () for each in (operator.inputs, operator.outputs)]
    used = {int(index) for each in lists for index in each} | {int(each.tensorIndex) for each in maps}
    places = {index: place for place, index in enumerate(sorted(used - {-1}))} | {-1: -1}
    graph.tensors = [graph.tensors[index] for index in sorted(used - {-1})]
    graph.inputs, graph.outputs = ([places[int(index)] for index in each] for each in (graph.inputs, graph.outputs))
    for operator in graph.operators or ():
        operator.inputs = [places[int(index)] for index in operator.inputs]
        operator.outputs = [places[int(index)] for index in operator.outputs]
    for each in maps:
        each.tensorIndex = places[int(each.tensorIndex)]


def inline(model: Model) -> bytes:
    """Writes a model with every constant in the flatbuffer, as other tools expect it."""
    return _packed(model)


def _packed(model: Model) -> bytes:
    from deploypipe.runtimes.tflite.builder import SharingBuilder

    builder = SharingBuilder(1 << 20)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def data_of(buffer: Any) -> Any:
    """Returns the bytes of a buffer, or None where it is empty."""
    return buffer.data if buffer.data is not None and len(buffer.data) else None


def constant(model: Model, tensor: Tensor) -> Array | None:
    """Returns the value of a constant tensor, or None where it is computed."""
    import numpy as np

    data = data_of(model.buffers[tensor.buffer])
    if data is None or tensor.type not in dtypes():
        return None
    return np.frombuffer(bytes(data), dtypes()[tensor.type]).reshape(shape_of(tensor))


def dtypes() -> dict[int, Any]:
    """Returns numpy's types by those of the schema."""
    import numpy as np

    kinds = schema().TensorType
    return {
        kinds.FLOAT32: np.dtype(np.float32),
        kinds.FLOAT64: np.dtype(np.float64),
        kinds.INT8: np.dtype(np.int8),
        kinds.UINT8: np.dtype(np.uint8),
        kinds.INT16: np.dtype(np.int16),
        kinds.INT32: np.dtype(np.int32),
        kinds.INT64: np.dtype(np.int64),
        kinds.BOOL: np.dtype(np.bool_),
    }


def shape_of(tensor: Tensor) -> tuple[int, ...]:
    """Returns the shape that a tensor has in the file."""
    return tuple(int(size) for size in (tensor.shape if tensor.shape is not None else ()))


def custom_code(model: Model, operator: Operator) -> str:
    """Returns the name of a custom operator, or an empty text for a builtin one."""
    code = model.operatorCodes[operator.opcodeIndex]
    return (code.customCode or b"").decode() if builtin_of(model, operator) == schema().BuiltinOperator.CUSTOM else ""


def custom_codes(model: Model) -> list[str]:
    """Returns the names of all custom operators, each once."""
    return sorted({code for _, each in operators(model) if (code := custom_code(model, each))})


def builtin_of(model: Model, operator: Operator) -> int:
    """Returns the operator's code in the schema."""
    code = model.operatorCodes[operator.opcodeIndex]
    return int(max(code.builtinCode, code.deprecatedBuiltinCode))


def operators(model: Model) -> Iterator[tuple[Subgraph, Operator]]:
    """Yields every operator with its subgraph."""
    for subgraph in model.subgraphs:
        for operator in subgraph.operators or ():
            yield subgraph, operator


def operator_names(model: Model) -> list[str]:
    """Returns the operators by name, each once: builtins as in the schema, custom ones by their code."""
    return sorted({name_of(model, each) for _, each in operators(model)})


def name_of(model: Model, operator: Operator) -> str:
    """Returns the name of an operator: a builtin one's as in the schema, a custom one's code."""
    return custom_code(model, operator) or names(schema().BuiltinOperator)[builtin_of(model, operator)]


@functools.cache
def names(kind: Any) -> Mapping[int, str]:
    """Returns the names of an enumeration of the schema by their values."""
    return {value: name for name, value in vars(kind).items() if isinstance(value, int)}


def name_uniquely(model: Model) -> None:
    """Numbers tensors that have one name, which the quantizer needs."""
    seen: set[bytes] = set()
    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors:
            name, number = tensor.name, 1
            while tensor.name in seen:
                tensor.name, number = name + f"_{number}".encode(), number + 1
            seen.add(tensor.name)


def tensor_map(name: bytes, place: int) -> Any:
    """Makes an entry of a signature."""
    entry = schema().TensorMapT()
    entry.name, entry.tensorIndex = name, place
    return entry


def add_constant(model: Model, subgraph: Subgraph, name: str, value: Array) -> int:
    """Adds a constant to a subgraph; returns the index of its tensor."""
    import numpy as np

    buffer = schema().BufferT()
    buffer.data = np.frombuffer(value.tobytes(), np.uint8)
    model.buffers.append(buffer)
    kinds = {dtype: kind for kind, dtype in dtypes().items()}
    return add_tensor(subgraph, name, value.shape, kinds[value.dtype], len(model.buffers) - 1)


def add_tensor(subgraph: Subgraph, name: str, shape: Sequence[int], kind: int, buffer: int = 0) -> int:
    """Adds a tensor to a subgraph; returns its index. A size of -1 is open."""
    tensor = schema().TensorT()
    tensor.name, tensor.type, tensor.buffer = name.encode(), kind, buffer
    tensor.shape = [max(size, 1) for size in shape]
    tensor.shapeSignature = list(shape) if -1 in shape else None
    tensor.hasRank = True
    subgraph.tensors.append(tensor)
    return len(subgraph.tensors) - 1


def add_operator(
    model: Model,
    builtin: str,
    version: int,
    inputs: Sequence[int],
    outputs: Sequence[int],
    options: Any = None,
) -> Operator:
    """Makes an operator, which the caller puts into its place.

    Args:
        model: Receives the operator's code.
        builtin: Name in the schema, `BROADCAST_TO`.
        version: Of the operator.
        inputs: Indices of tensors.
        outputs: Indices of tensors.
        options: The object of its options, whose class is named as they are.
    """
    kinds = schema()
    operator = kinds.OperatorT()
    operator.opcodeIndex = _opcode(model, getattr(kinds.BuiltinOperator, builtin), version)
    operator.inputs, operator.outputs = list(inputs), list(outputs)
    if options is not None:
        operator.builtinOptions = options
        operator.builtinOptionsType = getattr(kinds.BuiltinOptions, type(options).__name__.removesuffix("T"))
    return operator


def _opcode(model: Model, builtin: int, version: int) -> int:
    for index, code in enumerate(model.operatorCodes):
        if code.builtinCode == builtin and code.version == version:
            return index
    code = schema().OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode, code.version = builtin, min(builtin, 127), version
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1
