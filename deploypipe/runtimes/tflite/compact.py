"""Writing a file without what nobody reads, and without anything twice.

A graph that was written out step by step is otherwise more of names and small constants than of operators.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deploypipe.runtimes.tflite import flatbuffer

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def written(content: bytes) -> bytes:
    """Returns a file as it is shipped: it computes the same, its signatures are the same, tensors have no names."""
    model = flatbuffer.parse(content)
    model.metadata = model.description = None
    flatbuffer.share_constants(model)
    for graph in model.subgraphs:
        _merge_constants(model, graph)
    flatbuffer.drop_unused(model)
    for graph in model.subgraphs:
        _strip(graph)
    _number_buffers(model)
    return flatbuffer.write(model)


def _merge_constants(model: flatbuffer.Model, graph: flatbuffer.Subgraph) -> None:
    """Lets operators read one tensor in the place of equal ones."""
    first: dict[Any, int] = {}
    places = list(range(len(graph.tensors)))
    for index, tensor in enumerate(graph.tensors):
        if flatbuffer.data_of(model.buffers[tensor.buffer]) is not None:
            places[index] = first.setdefault(_looks(tensor), index)
    for operator in graph.operators or ():
        operator.inputs = [places[index] if index >= 0 else -1 for index in operator.inputs]


def _looks(tensor: flatbuffer.Tensor) -> tuple[Any, ...]:
    """Returns all that a constant is told by, beside its name."""
    quantization = vars(tensor.quantization) if tensor.quantization is not None else {}
    values = (getattr(each, "tolist", lambda each=each: each)() for each in quantization.values())
    return tensor.buffer, tensor.type, flatbuffer.shape_of(tensor), repr([*values])


def _strip(graph: flatbuffer.Subgraph) -> None:
    """Takes names away, and makes arrays of lists, of which the writer keeps one where they are equal."""
    import numpy as np

    graph.name = None
    for operator in graph.operators or ():
        operator.inputs, operator.outputs = (np.array(each, np.int32) for each in (operator.inputs, operator.outputs))
    for tensor in graph.tensors:
        tensor.name = None
        tensor.shape = np.array(flatbuffer.shape_of(tensor), np.int32)
        if tensor.shapeSignature is not None:
            tensor.shapeSignature = np.array(tensor.shapeSignature, np.int32)
        scale = tensor.quantization.scale if tensor.quantization is not None else None
        if scale is None or not len(scale):
            tensor.quantization = None


def _number_buffers(model: flatbuffer.Model) -> None:
    """Keeps the buffers that have something in them, and the first, which is empty by the format."""
    used = [0, *(place for place, each in enumerate(model.buffers) if place and flatbuffer.data_of(each) is not None)]
    places = {place: number for number, place in enumerate(used)}
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            tensor.buffer = places.get(tensor.buffer, 0)
    model.buffers = [model.buffers[place] for place in used]
