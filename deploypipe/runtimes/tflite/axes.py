"""Dynamic axes: litert-torch writes fixed sizes, so two files at two sizes of each axis are compared.

What differs between them depends on an axis. It becomes open (-1), or is computed when the sizes are known,
by operators that depend on the shape of an input alone. What is neither is declined with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from deploypipe.runtimes.tflite import flatbuffer
from deploypipe.runtimes.tflite.flatbuffer import Model, Operator, Subgraph, Tensor

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

Pair = tuple[int, int]

# Axes that STRIDED_SLICE takes.
_MOST_SLICED = 5

# Operators that stretch an operand of size 1 by themselves.
_BROADCASTS = (
    "ADD",
    "SUB",
    "MUL",
    "DIV",
    "MAXIMUM",
    "MINIMUM",
    "SELECT_V2",
    "LESS",
    "LESS_EQUAL",
    "GREATER",
    "GREATER_EQUAL",
    "EQUAL",
    "NOT_EQUAL",
    "LOGICAL_AND",
    "LOGICAL_OR",
)


class FixedAxisError(Exception):
    """Something in the graph depends on the size of an axis in a way that cannot be left open."""


@dataclass
class _Work:
    """A model under change, and its twin at other sizes.

    Attributes:
        model: Gets its axes opened.
        twin: The same graph at other sizes.
        sizes: Each axis with its two sizes.
        sources: Each axis with an input of the main subgraph that has it, and where.
        vectors: Tensors that hold sizes, by what they hold.
        zeros: Tensors of zeros, by their shape and type.
        prelude: Operators that make both.
    """

    model: Model
    twin: Model
    sizes: Mapping[str, Pair]
    sources: dict[str, tuple[int, int]] = field(default_factory=dict)
    vectors: dict[tuple[Pair, ...], int] = field(default_factory=dict)
    zeros: dict[tuple[Any, ...], int] = field(default_factory=dict)
    prelude: list[Operator] = field(default_factory=list)


def opened(content: bytes, twin: bytes, sizes: Mapping[str, Pair]) -> Model:
    """Returns a model whose axes are open.

    Args:
        content: The model with each axis at its first size.
        twin: The same model with each axis at its second size.
        sizes: The two sizes of each axis; no two axes share a pair.

    Raises:
        FixedAxisError: The graph does not admit it; the text says why.
    """
    work = _Work(flatbuffer.parse(content), flatbuffer.parse(twin), sizes)
    if len(work.model.subgraphs) != len(work.twin.subgraphs):
        raise FixedAxisError("the graph has another structure at another size")
    _find_sources(work)
    for number in range(len(work.model.subgraphs)):
        _open_subgraph(work, number)
    return work.model


def _find_sources(work: _Work) -> None:
    main, other = work.model.subgraphs[0], work.twin.subgraphs[0]
    for index, there in zip(main.inputs, other.inputs, strict=True):
        pairs = _pairs(main.tensors[index], other.tensors[there])
        for place, pair in enumerate(pairs):
            for axis, sizes in work.sizes.items():
                if pair == sizes:
                    work.sources.setdefault(axis, (int(index), place))


def _open_subgraph(work: _Work, number: int) -> None:
    graph, other = work.model.subgraphs[number], work.twin.subgraphs[number]
    _check_structure(work, graph, other)
    work.vectors, work.zeros, work.prelude = {}, {}, []
    operators: list[Operator] = []
    for operator, there in zip(graph.operators, other.operators, strict=True):
        operators += _open_operator(work, number, operator, there)
    pairs = zip(graph.tensors[: len(other.tensors)], other.tensors, strict=True)
    for tensor, twin in pairs:
        _open_tensor(work, tensor, twin)
    graph.operators = [*work.prelude, *operators]


def _check_structure(work: _Work, graph: Subgraph, other: Subgraph) -> None:
    def structure(model: Model, subgraph: Subgraph) -> list[Any]:
        return [
            (flatbuffer.builtin_of(model, each), list(each.inputs), list(each.outputs)) for each in subgraph.operators
        ]

    same = structure(work.model, graph) == structure(work.twin, other) and len(graph.tensors) == len(other.tensors)
    if not same:
        raise FixedAxisError("the graph has another structure at another size")


def _open_tensor(work: _Work, tensor: Tensor, twin: Tensor) -> None:
    """Marks the sizes that differ as open; of a constant nothing may differ by now."""
    pairs = _pairs(tensor, twin)
    if all(one == other for one, other in pairs):
        return
    if flatbuffer.data_of(work.model.buffers[tensor.buffer]) is None:
        tensor.shapeSignature = [one if one == other else -1 for one, other in pairs]


def _pairs(tensor: Tensor, twin: Tensor) -> list[Pair]:
    one, other = flatbuffer.shape_of(tensor), flatbuffer.shape_of(twin)
    if len(one) != len(other):
        raise FixedAxisError("a tensor has another rank at another size")
    return list(zip(one, other, strict=True))


def _open_operator(work: _Work, number: int, operator: Operator, there: Operator) -> list[Operator]:
    """Returns an operator with constants that hold at every size, after the operators that they need."""
    graph, other = work.model.subgraphs[number], work.twin.subgraphs[number]
    if _name(work.model, operator) == "SLICE" and _varies(graph, other, operator, there):
        return [_strided(work, number, operator, there)]
    before: list[Operator] = []
    inputs = list(operator.inputs)
    for slot, index in enumerate(inputs):
        if index < 0:
            continue
        mine = flatbuffer.constant(work.model, graph.tensors[index])
        theirs = flatbuffer.constant(work.twin, other.tensors[there.inputs[slot]])
        if mine is None or theirs is None or _equal(mine, theirs):
            continue
        inputs[slot] = _replaced(work, number, operator, slot, (mine, theirs), before)
    operator.inputs = inputs
    return [*before, operator]


def _varies(graph: Subgraph, other: Subgraph, operator: Operator, there: Operator) -> bool:
    """Tells whether the first input of an operator has a dynamic axis."""
    pairs = _pairs(graph.tensors[operator.inputs[0]], other.tensors[there.inputs[0]])
    return any(one != two for one, two in pairs)


def _equal(one: Array, other: Array) -> bool:
    import numpy as np

    # NaN is a value like others, and bits are what counts.
    return one.shape == other.shape and np.array_equal(one.view(np.uint8) if one.ndim else one, _bytes_like(other))


def _bytes_like(array: Array) -> Array:
    import numpy as np

    return array.view(np.uint8) if array.ndim else array


def _replaced(
    work: _Work, number: int, operator: Operator, slot: int, values: tuple[Array, Array], before: list[Operator]
) -> int:
    """Returns the tensor that takes the place of a constant which depends on an axis."""
    name = _name(work.model, operator)
    mine, theirs = values
    if mine.shape == theirs.shape and mine.ndim == 1 and (name, slot) in _SHAPES:
        return _SHAPES[name, slot](work, number, operator, mine, theirs)
    if mine.ndim == theirs.ndim and mine.shape != theirs.shape:
        return _stretched(work, number, operator, mine, theirs, before)
    raise FixedAxisError(f"a constant of {name} depends on the size of an axis")


def _name(model: Model, operator: Operator) -> str:
    names = {value: name for name, value in vars(flatbuffer.schema().BuiltinOperator).items()}
    return flatbuffer.custom_code(model, operator) or str(names[flatbuffer.builtin_of(model, operator)])


def _target_of_reshape(work: _Work, number: int, operator: Operator, mine: Array, theirs: Array) -> int:
    open_sizes = [int(one) if one == other else -1 for one, other in zip(mine, theirs, strict=True)]
    if open_sizes.count(-1) > 1:
        return _vector(work, number, tuple(zip(map(int, mine), map(int, theirs), strict=True)))
    options = flatbuffer.schema().ReshapeOptionsT()
    options.newShape = open_sizes
    operator.builtinOptions = options
    operator.builtinOptionsType = flatbuffer.schema().BuiltinOptions.ReshapeOptions
    return _constant(work, number, open_sizes)


def _strided(work: _Work, number: int, operator: Operator, there: Operator) -> Operator:
    """Makes a STRIDED_SLICE of a SLICE, which LiteRT takes for something whose size depends on values.

    A slice that reaches the end of its axis in both files does so at every size.
    """
    graph, other = work.model.subgraphs[number], work.twin.subgraphs[number]
    begin, mine = (flatbuffer.constant(work.model, graph.tensors[operator.inputs[slot]]) for slot in (1, 2))
    theirs = flatbuffer.constant(work.twin, other.tensors[there.inputs[2]])
    pairs = _pairs(graph.tensors[operator.inputs[0]], other.tensors[there.inputs[0]])
    if begin is None or mine is None or theirs is None or len(pairs) > _MOST_SLICED:
        raise FixedAxisError("the sizes of a SLICE are computed, or it has too many axes")
    options = flatbuffer.schema().StridedSliceOptionsT()
    for place, (start, one, two, whole) in enumerate(zip(begin, mine, theirs, pairs, strict=True)):
        if whole[0] != whole[1] and (start + one, start + two) == whole:
            options.endMask |= 1 << place
        elif one != two:
            raise FixedAxisError("a SLICE ends before the end of a dynamic axis")
    vectors = ([*begin], [*(begin + mine)], [1] * len(pairs))
    inputs = [operator.inputs[0], *(_constant(work, number, [int(each) for each in vector]) for vector in vectors)]
    return flatbuffer.add_operator(work.model, "STRIDED_SLICE", 1, inputs, operator.outputs, options)


def _end_of_strided_slice(work: _Work, number: int, operator: Operator, mine: Array, theirs: Array) -> int:
    """The end of a slice that reaches the end of its axis may lie beyond it."""
    graph, other = work.model.subgraphs[number], work.twin.subgraphs[number]
    pairs = _pairs(graph.tensors[operator.inputs[0]], other.tensors[operator.inputs[0]])
    ends = []
    for one, two, whole in zip(mine, theirs, pairs, strict=True):
        if one != two and (one, two) != whole:
            raise FixedAxisError("a STRIDED_SLICE ends before the end of a dynamic axis")
        ends.append(int(one) if one == two else 2**31 - 1)
    return _constant(work, number, ends)


def _shape_at_run_time(work: _Work, number: int, _operator: Operator, mine: Array, theirs: Array) -> int:
    return _vector(work, number, tuple(zip(map(int, mine), map(int, theirs), strict=True)))


_SHAPES = {
    ("RESHAPE", 1): _target_of_reshape,
    ("STRIDED_SLICE", 2): _end_of_strided_slice,
    ("BROADCAST_TO", 1): _shape_at_run_time,
    ("FILL", 0): _shape_at_run_time,
}


def _constant(work: _Work, number: int, values: Sequence[int]) -> int:
    import numpy as np

    return flatbuffer.add_constant(work.model, work.model.subgraphs[number], "sizes", np.array(values, np.int32))


def _stretched(work: _Work, number: int, operator: Operator, mine: Array, theirs: Array, before: list[Operator]) -> int:
    """Keeps one row of a constant that repeats it, and stretches it to the size of the axis.

    By an addition of zeros that are made from an input, since LiteRT takes what BROADCAST_TO gives for something
    whose size depends on values.
    """
    row = mine
    for axis, (one, other) in enumerate(zip(mine.shape, theirs.shape, strict=True)):
        if one != other:
            row = row[(slice(None),) * axis + (slice(0, 1),)]
    if not _repeats(row, mine) or not _repeats(row, theirs):
        raise FixedAxisError(f"a constant of {_name(work.model, operator)} depends on the size of an axis")
    kept = flatbuffer.add_constant(work.model, work.model.subgraphs[number], "row", row.copy())
    if _name(work.model, operator) in _BROADCASTS:
        return kept
    for axis, pair in enumerate(zip(mine.shape, theirs.shape, strict=True)):
        if pair[0] != pair[1]:
            kept = _stretch(work, number, kept, axis, pair, before)
    return kept


def _stretch(work: _Work, number: int, tensor: int, axis: int, pair: Pair, before: list[Operator]) -> int:
    """Adds a column of zeros, as long as an axis of the model, to a tensor of which that axis is 1."""
    kinds, graph = flatbuffer.schema(), work.model.subgraphs[number]
    given = graph.tensors[tensor]
    if given.type not in (kinds.TensorType.FLOAT32, kinds.TensorType.INT32, kinds.TensorType.INT64) or number:
        raise FixedAxisError("a constant of a loop, or one of a rare type, is repeated along an axis")
    column = _zeros(work, pair, axis, len(flatbuffer.shape_of(given)), given.type)
    shape = list(flatbuffer.shape_of(given))
    shape[axis] = pair[0]
    result = flatbuffer.add_tensor(graph, "stretched", shape, given.type)
    signature = list(given.shapeSignature if given.shapeSignature is not None else shape)
    signature[axis] = -1
    graph.tensors[result].shapeSignature = signature
    version = 4 if given.type == kinds.TensorType.INT64 else 1
    before.append(flatbuffer.add_operator(work.model, "ADD", version, [tensor, column], [result], kinds.AddOptionsT()))
    return result


def _zeros(work: _Work, pair: Pair, axis: int, rank: int, kind: int) -> int:
    """Returns zeros that are as long as an axis of the model in one of their axes, and 1 in the others."""
    key = (pair, axis, rank, kind)
    if key not in work.zeros:
        tensor, place = _source(work, pair)
        work.zeros[key] = _zeros_from(work, tensor, place, pair[0], axis, rank, kind)
    return work.zeros[key]


def _zeros_from(work: _Work, tensor: int, place: int, size: int, axis: int, rank: int, kind: int) -> int:
    kinds, graph = flatbuffer.schema(), work.model.subgraphs[0]
    source = graph.tensors[tensor]
    count = len(flatbuffer.shape_of(source))

    def column(name: str, where: int, length: int, dtype: int) -> int:
        shape = [-1 if each == where else 1 for each in range(length)]
        index = flatbuffer.add_tensor(graph, name, shape, dtype)
        graph.tensors[index].shape = [size if each == where else 1 for each in range(length)]
        return index

    def step(name: str, version: int, inputs: list[int], output: int, options: Any) -> int:
        work.prelude.append(flatbuffer.add_operator(work.model, name, version, inputs, [output], options))
        return output

    options = kinds.StridedSliceOptionsT()
    options.endMask = 1 << place
    vectors = [_constant(work, 0, [value] * count) for value in (0, 1, 1)]
    cut = step("STRIDED_SLICE", 1, [tensor, *vectors], column("column", place, count, source.type), options)
    zeros = step("ZEROS_LIKE", 1, [cut], column("zeros", place, count, source.type), kinds.ZerosLikeOptionsT())
    if source.type != kind:
        options = kinds.CastOptionsT()
        options.inDataType, options.outDataType = source.type, kind
        zeros = step("CAST", 1, [zeros], column("zeros", place, count, kind), options)
    options = kinds.ReshapeOptionsT()
    options.newShape = [-1 if each == axis else 1 for each in range(rank)]
    shape = _constant(work, 0, options.newShape)
    return step("RESHAPE", 1, [zeros, shape], column("zeros", axis, rank, kind), options)


def _repeats(row: Array, whole: Array) -> bool:
    import numpy as np

    return bool(np.array_equal(np.broadcast_to(row, whole.shape), whole, equal_nan=whole.dtype.kind == "f"))


def _vector(work: _Work, number: int, pairs: tuple[Pair, ...]) -> int:
    """Returns a tensor int32[n] that holds sizes, those of axes read off an input when it is known."""
    if number:
        raise FixedAxisError("the body of a loop needs the size of an axis")
    if pairs not in work.vectors:
        parts = [_constant(work, number, [one]) if one == other else _size(work, (one, other)) for one, other in pairs]
        graph = work.model.subgraphs[number]
        result = flatbuffer.add_tensor(graph, "shape", [len(pairs)], flatbuffer.schema().TensorType.INT32)
        options = flatbuffer.schema().ConcatenationOptionsT()
        work.prelude.append(flatbuffer.add_operator(work.model, "CONCATENATION", 1, parts, [result], options))
        work.vectors[pairs] = result
    return work.vectors[pairs]


def _size(work: _Work, pair: Pair) -> int:
    """Returns a tensor int32[1] with the size of the axis that has a pair of sizes."""
    if (pair,) not in work.vectors:
        work.vectors[pair,] = _read_size(work, *_source(work, pair))
    return work.vectors[pair,]


def _source(work: _Work, pair: Pair) -> tuple[int, int]:
    """Returns an input that has the axis with a pair of sizes, and where it has it."""
    for name, sizes in work.sizes.items():
        if sizes == pair and name in work.sources:
            return work.sources[name]
    raise FixedAxisError(f"a shape holds {pair[0]} where {work.sizes} are the sizes of the axes")


def _read_size(work: _Work, tensor: int, place: int) -> int:
    kinds, graph = flatbuffer.schema(), work.model.subgraphs[0]
    rank = len(flatbuffer.shape_of(graph.tensors[tensor]))
    shape = flatbuffer.add_tensor(graph, "shape_of_input", [rank], kinds.TensorType.INT32)
    options = kinds.ShapeOptionsT()
    options.outType = kinds.TensorType.INT32
    work.prelude.append(flatbuffer.add_operator(work.model, "SHAPE", 1, [tensor], [shape], options))
    begin, end, stride = (_constant(work, 0, [value]) for value in (place, place + 1, 1))
    size = flatbuffer.add_tensor(graph, "size", [1], kinds.TensorType.INT32)
    cut = flatbuffer.add_operator(
        work.model, "STRIDED_SLICE", 1, [shape, begin, end, stride], [size], kinds.StridedSliceOptionsT()
    )
    work.prelude.append(cut)
    return size
