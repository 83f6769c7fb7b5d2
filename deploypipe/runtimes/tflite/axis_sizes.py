"""Sizes of axes at run time: vectors of sizes, and constants stretched to an axis, read off an input.

Values that hold sizes are shared, and made by operators at the beginning of the graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deploypipe.runtimes.tflite import flatbuffer
from deploypipe.runtimes.tflite.flatbuffer import Model, Operator

Pair = tuple[int, int]


class FixedAxisError(Exception):
    """Something in the graph depends on the size of an axis in a way that cannot be left open."""


@dataclass
class Work:
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


def constant(work: Work, number: int, values: Sequence[int]) -> int:
    """Adds a vector of sizes that are known; returns its tensor."""
    import numpy as np

    return flatbuffer.add_constant(work.model, work.model.subgraphs[number], "sizes", np.array(values, np.int32))


def stretch(work: Work, number: int, tensor: int, axis: int, pair: Pair, before: list[Operator]) -> int:
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


def _zeros(work: Work, pair: Pair, axis: int, rank: int, kind: int) -> int:
    """Returns zeros that are as long as an axis of the model in one of their axes, and 1 in the others."""
    key = (pair, axis, rank, kind)
    if key not in work.zeros:
        tensor, place = _source(work, pair)
        work.zeros[key] = _zeros_from(work, tensor, place, pair[0], axis, rank, kind)
    return work.zeros[key]


def _zeros_from(work: Work, tensor: int, place: int, size: int, axis: int, rank: int, kind: int) -> int:
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
    vectors = [constant(work, 0, [value] * count) for value in (0, 1, 1)]
    cut = step("STRIDED_SLICE", 1, [tensor, *vectors], column("column", place, count, source.type), options)
    if source.type != kind:  # of some types there are no zeros
        options = kinds.CastOptionsT()
        options.inDataType, options.outDataType = source.type, kind
        cut = step("CAST", 1, [cut], column("column", place, count, kind), options)
    zeros = step("ZEROS_LIKE", 1, [cut], column("zeros", place, count, kind), kinds.ZerosLikeOptionsT())
    options = kinds.ReshapeOptionsT()
    options.newShape = [-1 if each == axis else 1 for each in range(rank)]
    shape = constant(work, 0, options.newShape)
    return step("RESHAPE", 1, [zeros, shape], column("zeros", axis, rank, kind), options)


def vector(work: Work, number: int, pairs: tuple[Pair, ...]) -> int:
    """Returns a tensor int32[n] that holds sizes, those of axes read off an input when it is known."""
    if number:
        raise FixedAxisError("the body of a loop needs the size of an axis")
    if pairs not in work.vectors:
        parts = [constant(work, number, [one]) if one == other else _size(work, (one, other)) for one, other in pairs]
        graph = work.model.subgraphs[number]
        result = flatbuffer.add_tensor(graph, "shape", [len(pairs)], flatbuffer.schema().TensorType.INT32)
        options = flatbuffer.schema().ConcatenationOptionsT()
        work.prelude.append(flatbuffer.add_operator(work.model, "CONCATENATION", 1, parts, [result], options))
        work.vectors[pairs] = result
    return work.vectors[pairs]


def _size(work: Work, pair: Pair) -> int:
    """Returns a tensor int32[1] with the size of the axis that has a pair of sizes."""
    if (pair,) not in work.vectors:
        work.vectors[pair,] = _read_size(work, *_source(work, pair))
    return work.vectors[pair,]


def _source(work: Work, pair: Pair) -> tuple[int, int]:
    """Returns an input that has the axis with a pair of sizes, and where it has it."""
    for name, sizes in work.sizes.items():
        if sizes == pair and name in work.sources:
            return work.sources[name]
    raise FixedAxisError(f"a shape holds {pair[0]} where {work.sizes} are the sizes of the axes")


def _read_size(work: Work, tensor: int, place: int) -> int:
    kinds, graph = flatbuffer.schema(), work.model.subgraphs[0]
    rank = len(flatbuffer.shape_of(graph.tensors[tensor]))
    shape = flatbuffer.add_tensor(graph, "shape_of_input", [rank], kinds.TensorType.INT32)
    options = kinds.ShapeOptionsT()
    options.outType = kinds.TensorType.INT32
    work.prelude.append(flatbuffer.add_operator(work.model, "SHAPE", 1, [tensor], [shape], options))
    begin, end, stride = (constant(work, 0, [value]) for value in (place, place + 1, 1))
    size = flatbuffer.add_tensor(graph, "size", [1], kinds.TensorType.INT32)
    cut = flatbuffer.add_operator(
        work.model, "STRIDED_SLICE", 1, [shape, begin, end, stride], [size], kinds.StridedSliceOptionsT()
    )
    work.prelude.append(cut)
    return size
