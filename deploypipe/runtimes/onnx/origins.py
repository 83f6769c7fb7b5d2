"""Where the nodes and the weights of an exported file come from: modules of the model."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence

import onnx

from deploypipe.layers import at

# What torch.onnx notes down on a node: the paths of the modules that it is in, the outermost first, and its own name.
_SCOPES = "pkg.torch.onnx.name_scopes"

# Types of weights; other integers are places and sizes.
_WEIGHTS = (onnx.TensorProto.FLOAT, onnx.TensorProto.INT8, onnx.TensorProto.UINT8)


def scopes(node: onnx.NodeProto) -> tuple[str, ...]:
    """Returns the paths of the modules that a node is in, the outermost first."""
    told = next((each.value for each in node.metadata_props if each.key == _SCOPES), "[]")
    # A module that is called again has a path of its own for each call.
    return tuple(re.sub(r"@\d+", "", path) for path in ast.literal_eval(told)[:-1])


def readers(model: onnx.ModelProto) -> dict[str, list[onnx.NodeProto]]:
    """Returns the nodes that read each value."""
    found: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in inputs(node):
            found.setdefault(name, []).append(node)
    return found


def inputs(node: onnx.NodeProto) -> Iterator[str]:
    """Yields the values that a node reads, those of the graphs in it included."""
    yield from filter(None, node.input)
    for attribute in node.attribute:
        for graph in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
            for inner in graph.node:
                yield from inputs(inner)


def owners(model: onnx.ModelProto, layers: Sequence[str]) -> dict[str, str]:
    """Returns the layer that each matrix of weights belongs to, by name; those that belong to none are left out.

    A matrix has the name of the parameter that it is. One that the exporter computed belongs to the module
    of what reads it.

    Args:
        model: As it was exported.
        layers: Paths in the model.
    """
    reading = readers(model)
    found = {}
    for tensor in (each for each in model.graph.initializer if len(each.dims) > 1 and each.data_type in _WEIGHTS):
        places = [[tensor.name], *(reversed(scopes(node)) for node in reading.get(tensor.name, []))]
        owner = next((name for place in places for name in [_layer(place, layers)] if name is not None), None)
        if owner is not None:
            found[tensor.name] = owner
    return found


def _layer(places: Iterable[str], names: Sequence[str]) -> str | None:
    """Returns the innermost layer that one of some places is in, the first that is in one."""
    return next((layer for place in places if (layer := at(place, names)) is not None), None)


def strip(model: onnx.ModelProto) -> None:
    """Removes what the exporter and the quantizers noted down: it takes room, and names folders of this machine."""
    graph = model.graph
    del model.metadata_props[:], graph.metadata_props[:]
    written = {name for node in graph.node for name in node.output} - {value.name for value in graph.output}
    values = [value for value in graph.value_info if value.name in written]
    del graph.value_info[:]
    graph.value_info.extend(values)
    for each in (*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del each.metadata_props[:]
        each.doc_string = ""
