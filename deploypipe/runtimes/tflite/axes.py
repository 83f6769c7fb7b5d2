"""Dynamic axes: litert-torch writes fixed sizes, so two files at two sizes of each axis are compared.

What differs between them depends on an axis. It becomes open (-1), or is computed when the sizes are known,
by operators that depend on the shape of an input alone. What is neither is declined with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from deploypipe.runtimes.tflite import flatbuffer
from deploypipe.runtimes.tflite.axis_sizes import FixedAxisError, Pair, Work, constant, stretch, vector
from deploypipe.runtimes.tflite.flatbuffer import Model, Operator, Subgraph, Tensor

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

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


def opened(content: bytes, twin: bytes, sizes: Mapping[str, Pair]) -> Model:
    """Returns a model whose axes are open.

    Args:
        content: The model with each axis at its first size.
        twin: The same model with each axis at its second size.
        sizes: The two sizes of each axis; no two axes share a pair.

    Raises:
        FixedAxisError: The graph does not admit it; the text says why.
    """
    work = Work(flatbuffer.parse(content), flatbuffer.parse(twin), sizes)
    if len(work.model.subgraphs) != len(work.twin.subgraphs):
        raise FixedAxisError("the graph has another structure at another size")
    _find_sources(work)
    for number in range(len(work.model.subgraphs)):
        _open_subgraph(work, number)
    return work.model


def _find_sources(work: Work) -> None:
    main, other = work.model.subgraphs[0], work.twin.subgraphs[0]
    for index, there in zip(main.inputs, other.inputs, strict=True):
        pairs = _pairs(main.tensors[index], other.tensors[there])
        for place, pair in enumerate(pairs):
            for axis, sizes in work.sizes.items():
                if pair == sizes:
                    work.sources.setdefault(axis, (int(index), place))


def _open_subgraph(work: Work, number: int) -> None:
    graph, other = work.model.subgraphs[number], work.twin.subgraphs[number]
    _check_structure(work, graph, other)
    work.vectors, work.zeros, work.prelude = {}, {}, []
    operators: list[Operator] = []
    for operator, there in zip(graph.operators, other.operators, strict=True):
        operators += _open_operator(work, number, operator, there)
    for slot in range(len(graph.outputs)):
        _open_output(work, number, slot, operators)
    pairs = zip(graph.tensors[: len(other.tensors)], other.tensors, strict=True)
    for tensor, twin in pairs:
        _open_tensor(work, tensor, twin)
    graph.operators = [*work.prelude, *operators]


def _open_output(work: Work, number: int, slot: int, operators: list[Operator]) -> None:
    """Replaces an output that is a constant, where it depends on an axis."""
    graph, other = work.model.subgraphs[number], work.twin.subgraphs[number]
    index = graph.outputs[slot]
    values = _differing(work, graph.tensors[index], other.tensors[other.outputs[slot]], "an output")
    if values is None:
        return
    found = _stretched(work, number, "an output", values, operators)
    graph.outputs = [*graph.outputs[:slot], found, *graph.outputs[slot + 1 :]]
    for signature in work.model.signatureDefs:
        for each in signature.outputs if signature.subgraphIndex == number else ():
            each.tensorIndex = found if each.tensorIndex == index else each.tensorIndex


def _differing(work: Work, tensor: Tensor, twin: Tensor, owner: str) -> tuple[Array, Array] | None:
    """Returns the two values of a constant that is not the same at both sizes, None for anything else."""
    mine, theirs = flatbuffer.constant(work.model, tensor), flatbuffer.constant(work.twin, twin)
    if mine is not None and theirs is not None:
        return None if _equal(mine, theirs) else (mine, theirs)
    contents = (
        flatbuffer.data_of(work.model.buffers[tensor.buffer]),
        flatbuffer.data_of(work.twin.buffers[twin.buffer]),
    )
    one, two = (None if each is None else bytes(each) for each in contents)
    if one != two:
        raise FixedAxisError(f"a constant of {owner}, of a rare type, depends on the size of an axis")
    return None


def _check_structure(work: Work, graph: Subgraph, other: Subgraph) -> None:
    def structure(model: Model, subgraph: Subgraph) -> list[Any]:
        return [
            (flatbuffer.builtin_of(model, each), list(each.inputs), list(each.outputs)) for each in subgraph.operators
        ]

    same = structure(work.model, graph) == structure(work.twin, other) and len(graph.tensors) == len(other.tensors)
    if not same:
        raise FixedAxisError("the graph has another structure at another size")
    for operator, there in zip(graph.operators, other.operators, strict=True):
        if _options(operator) != _options(there):
            raise FixedAxisError(
                f"an option of {flatbuffer.name_of(work.model, operator)} depends on the size of an axis"
            )


def _options(operator: Operator) -> list[dict[str, str]]:
    """Returns what an operator is told beside its inputs; the target of a RESHAPE stands in an input too."""
    ignored = "newShape" if len(operator.inputs) > 1 else ""
    found = [vars(each) for each in (operator.builtinOptions, operator.builtinOptions2) if each is not None]
    return [{key: repr(value) for key, value in each.items() if key != ignored} for each in found]


def _open_tensor(work: Work, tensor: Tensor, twin: Tensor) -> None:
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


def _open_operator(work: Work, number: int, operator: Operator, there: Operator) -> list[Operator]:
    """Returns an operator with constants that hold at every size, after the operators that they need."""
    graph, other = work.model.subgraphs[number], work.twin.subgraphs[number]
    if flatbuffer.name_of(work.model, operator) == "SLICE" and _varies(graph, other, operator, there):
        return [_strided(work, number, operator, there)]
    before: list[Operator] = []
    inputs = list(operator.inputs)
    for slot, index in enumerate(inputs):
        if index < 0:
            continue
        name = flatbuffer.name_of(work.model, operator)
        values = _differing(work, graph.tensors[index], other.tensors[there.inputs[slot]], name)
        if values is not None:
            inputs[slot] = _replaced(work, number, (operator, there), slot, values, before)
    operator.inputs = inputs
    return [*before, operator]


def _varies(graph: Subgraph, other: Subgraph, operator: Operator, there: Operator) -> bool:
    """Tells whether the first input of an operator has a dynamic axis."""
    pairs = _pairs(graph.tensors[operator.inputs[0]], other.tensors[there.inputs[0]])
    return any(one != two for one, two in pairs)


def _equal(one: Array, other: Array) -> bool:
    """Compares bits: NaN is a value like others."""
    return one.shape == other.shape and one.tobytes() == other.tobytes()


def _replaced(
    work: Work,
    number: int,
    twins: tuple[Operator, Operator],
    slot: int,
    values: tuple[Array, Array],
    before: list[Operator],
) -> int:
    """Returns the tensor that takes the place of a constant which depends on an axis."""
    name = flatbuffer.name_of(work.model, twins[0])
    mine, theirs = values
    if mine.shape == theirs.shape and mine.ndim == 1 and (name, slot) in _SHAPES:
        return _SHAPES[name, slot](work, number, twins[0], mine, theirs)
    broadcast = name in _BROADCASTS and _carried(work, number, twins, slot, values)
    return _stretched(work, number, name, values, before, broadcast)


def _carried(work: Work, number: int, twins: tuple[Operator, Operator], slot: int, values: tuple[Array, Array]) -> bool:
    """Tells whether another input of an operator, no constant, has every open axis of a constant."""
    graph, other = work.model.subgraphs[number], work.twin.subgraphs[number]
    found: set[tuple[int, Pair]] = set()
    for place, (index, there) in enumerate(zip(twins[0].inputs, twins[1].inputs, strict=True)):
        if place != slot and flatbuffer.data_of(work.model.buffers[graph.tensors[index].buffer]) is None:
            found.update(enumerate(reversed(_pairs(graph.tensors[index], other.tensors[there]))))
    wanted = enumerate(reversed([*zip(*(value.shape for value in values), strict=True)]))
    return all(pair[0] == pair[1] or (axis, pair) in found for axis, pair in wanted)


def _target_of_reshape(work: Work, number: int, operator: Operator, mine: Array, theirs: Array) -> int:
    open_sizes = [int(one) if one == other else -1 for one, other in zip(mine, theirs, strict=True)]
    if open_sizes.count(-1) > 1:
        return vector(work, number, tuple(zip(map(int, mine), map(int, theirs), strict=True)))
    options = flatbuffer.schema().ReshapeOptionsT()
    options.newShape = open_sizes
    operator.builtinOptions = options
    operator.builtinOptionsType = flatbuffer.schema().BuiltinOptions.ReshapeOptions
    return constant(work, number, open_sizes)


def _strided(work: Work, number: int, operator: Operator, there: Operator) -> Operator:
    """Makes a STRIDED_SLICE of a SLICE, which LiteRT takes for something whose size depends on values.

    A place that is as far from the end of its axis in both files is so at every size.
    """
    graph, other = work.model.subgraphs[number], work.twin.subgraphs[number]
    begins, sizes = (_two_values(work, number, operator, there, slot) for slot in (1, 2))
    whole = _pairs(graph.tensors[operator.inputs[0]], other.tensors[there.inputs[0]])
    if len(whole) > _MOST_SLICED:
        raise FixedAxisError("a SLICE has too many axes")
    options = flatbuffer.schema().StridedSliceOptionsT()
    options.endMask = sum(
        1 << place for place, pair in enumerate(zip(begins, sizes, whole, strict=True)) if _to_the_end(*pair)
    )
    ends = [(begin[0] + size[0], begin[1] + size[1]) for begin, size in zip(begins, sizes, strict=True)]
    places = [[_place(*pair) for pair in zip(each, whole, strict=True)] for each in (begins, ends)]
    inputs = [operator.inputs[0], *(constant(work, number, each) for each in (*places, [1] * len(whole)))]
    return flatbuffer.add_operator(work.model, "STRIDED_SLICE", 1, inputs, operator.outputs, options)


def _two_values(work: Work, number: int, operator: Operator, there: Operator, slot: int) -> list[Pair]:
    mine = flatbuffer.constant(work.model, work.model.subgraphs[number].tensors[operator.inputs[slot]])
    theirs = flatbuffer.constant(work.twin, work.twin.subgraphs[number].tensors[there.inputs[slot]])
    if mine is None or theirs is None:
        raise FixedAxisError("the sizes of a SLICE are computed")
    return [*zip(mine.tolist(), theirs.tolist(), strict=True)]


def _to_the_end(begin: Pair, size: Pair, whole: Pair) -> bool:
    return whole[0] != whole[1] and (begin[0] + size[0], begin[1] + size[1]) == whole


def _place(place: Pair, whole: Pair) -> int:
    """Returns where a slice begins or ends, counted from the end of the axis where it moves with it."""
    if place[0] == place[1]:
        return place[0]
    if place == whole:
        return 0  # the end itself, which the mask tells
    if place[0] - whole[0] == place[1] - whole[1]:
        return place[0] - whole[0]
    raise FixedAxisError("a SLICE begins or ends at a place that depends on the size of an axis")


def _end_of_strided_slice(work: Work, number: int, operator: Operator, mine: Array, theirs: Array) -> int:
    """The end of a slice that reaches the end of its axis may lie beyond it."""
    graph, other = work.model.subgraphs[number], work.twin.subgraphs[number]
    pairs = _pairs(graph.tensors[operator.inputs[0]], other.tensors[operator.inputs[0]])
    ends = []
    for one, two, whole in zip(mine, theirs, pairs, strict=True):
        if one != two and (one, two) != whole:
            raise FixedAxisError("a STRIDED_SLICE ends before the end of a dynamic axis")
        ends.append(int(one) if one == two else 2**31 - 1)
    return constant(work, number, ends)


def _shape_at_run_time(work: Work, number: int, _operator: Operator, mine: Array, theirs: Array) -> int:
    return vector(work, number, tuple(zip(map(int, mine), map(int, theirs), strict=True)))


_SHAPES = {
    ("RESHAPE", 1): _target_of_reshape,
    ("STRIDED_SLICE", 2): _end_of_strided_slice,
    ("BROADCAST_TO", 1): _shape_at_run_time,
    ("FILL", 0): _shape_at_run_time,
}


def _stretched(
    work: Work,
    number: int,
    owner: str,
    values: tuple[Array, Array],
    before: list[Operator],
    broadcast: bool = False,
) -> int:
    """Keeps one row of a constant that repeats it, and stretches it to the size of the axis.

    By an addition of zeros that are made from an input, since LiteRT takes what BROADCAST_TO gives for something
    whose size depends on values. An operator that broadcasts takes the row as it is.
    """
    row, (mine, theirs) = values[0], values
    pairs = [*zip(mine.shape, theirs.shape, strict=True)] if mine.ndim == theirs.ndim else []
    for axis, (one, other) in enumerate(pairs):
        if one != other:
            row = row[(slice(None),) * axis + (slice(0, 1),)]
    if mine.shape == theirs.shape or not pairs or not _repeats(row, mine) or not _repeats(row, theirs):
        raise FixedAxisError(f"a constant of {owner} depends on the size of an axis")
    kept = flatbuffer.add_constant(work.model, work.model.subgraphs[number], "row", row.copy())
    for axis, pair in enumerate(() if broadcast else pairs):
        if pair[0] != pair[1]:
            kept = stretch(work, number, kept, axis, pair, before)
    return kept


def _repeats(row: Array, whole: Array) -> bool:
    import numpy as np

    return bool(np.array_equal(np.broadcast_to(row, whole.shape), whole, equal_nan=whole.dtype.kind == "f"))
