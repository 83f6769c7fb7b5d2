"""PT2E, torchao's quantization of exported graphs: what it needs whichever quantizer says how."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, fx, nn
from torch.export import Dim, ShapesCollection
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
from torchao.quantization.pt2e.quantizer import QuantizationAnnotation, Quantizer

from deploypipe.errors import DeployError, first_line
from deploypipe.oplib import registry
from deploypipe.runtimes.protocol import Form

if TYPE_CHECKING:
    from torch.export import ExportedProgram

    from deploypipe.capture import Program

STATIC = "int8-static"
# Rows of calibration data that are used at most.
CALIBRATION_ROWS = 512

_ANNOTATION = "quantization_annotation"
_TYPES = {torch.int8: "int8", torch.uint8: "uint8"}


def quantized(program: Program, exported: ExportedProgram, quantizer: Quantizer, form: Form) -> ExportedProgram:
    """Quantizes a graph, and exports it again with the sizes that it had.

    What computes a float input of an op, and the layers that the form keeps float, are left alone.

    Args:
        program: Gives the calibration data and the ranges of the axes.
        exported: Its graph, with custom ops or decomposed.
        quantizer: Of the runtime; it need not know what stays float.
        form: `int8-static` is calibrated; any other precision finds its scales as it runs.

    Raises:
        DeployError: There is no calibration data, or the graph cannot be quantized; the text says why.
    """
    samples = list(_samples(program)) if form.precision == STATIC else [_example(exported)]
    try:
        with torch.no_grad():
            prepared: Any = prepare_pt2e(exported.module(check_guards=False), _Careful(quantizer, form.kept_float))
            for sample in samples:
                prepared(*sample)
            converted: Any = convert_pt2e(prepared)
            _drop_unused(converted)
            return export(program, converted, exported)
    except Exception as error:
        raise DeployError(
            f"The model cannot be quantized to {form.precision}: {first_line(error)}", "Take another precision."
        ) from error


def export(program: Program, module: nn.Module, like: ExportedProgram) -> ExportedProgram:
    """Exports what was made of a program's graph or module, with the ranges of its axes.

    Args:
        program: Gives the ranges.
        module: Takes the inputs of the program.
        like: A graph of the program, with the inputs that it was exported with.
    """
    axes = program.facts.axes
    dims = {name: Dim(name, min=axis.min, max=axis.max) for name, axis in axes.items() if axis.min < axis.max}
    example, shapes = _example(like), ShapesCollection()
    for tensor, info in zip(example, program.facts.inputs, strict=True):
        shapes[tensor] = {place: dims[size] for place, size in enumerate(info.shape) if size in dims}
    return torch.export.export(module, example, dynamic_shapes=shapes.dynamic_shapes(module, example))


def layers(graphs: Iterable[fx.Graph], names: Sequence[str]) -> dict[str, str]:
    """Returns the precision of the layers that compute with weights of few bits.

    Args:
        graphs: What is lowered, or the parts of it.
        names: Of the layers of the model.

    Returns:
        Name to `int4`, `int8` or `uint8`, of those that have such weights.
    """
    nodes = (node for graph in graphs for node in graph.nodes)
    found = ((place, kind) for node in nodes if (kind := _kind(node)) for place in _places(node))
    return {layer: kind for place, kind in found if (layer := _layer(place, names)) is not None}


def float_nodes(graph: fx.Graph, kept: Sequence[str]) -> set[fx.Node]:
    """Returns the nodes that no quantizer may touch: those of layers that are kept float, and what float inputs need.

    Args:
        graph: Of torch.export, with custom ops or with their references in their place.
        kept: Paths of layers.
    """
    needed: set[fx.Node] = set()
    for node in reversed(graph.nodes):
        if node in needed:
            needed.update(node.all_input_nodes)
        else:
            needed.update(_float_inputs(node))
    own = {node for node in graph.nodes if not set(_stack(node)).isdisjoint(kept)}
    return {node for node in needed | own if node.op == "call_function"}


def leave(nodes: Iterable[fx.Node]) -> None:
    """Marks nodes as annotated, so that a quantizer that comes after leaves them as they are."""
    for node in nodes:
        node.meta[_ANNOTATION] = QuantizationAnnotation(_annotated=True)


def float_layers(graph: fx.Graph, kept: Sequence[str]) -> set[str]:
    """Returns the paths of the modules that have nodes which no quantizer may touch."""
    return {stack[-1] for node in float_nodes(graph, kept) if (stack := _stack(node))}


def dequantizes(node: fx.Node) -> bool:
    """Tells whether a node turns whole numbers with a scale into floats."""
    return "dequantize" in str(node.target)


class _Careful(Quantizer):  # type: ignore[misc]
    """Lets another quantizer annotate a graph in which the nodes that stay float have been answered already."""

    def __init__(self, quantizer: Quantizer, kept: Sequence[str]) -> None:
        super().__init__()
        self.quantizer, self.kept = quantizer, kept

    def transform_for_annotation(self, model: fx.GraphModule) -> fx.GraphModule:
        changed: fx.GraphModule = self.quantizer.transform_for_annotation(model)
        return changed

    def annotate(self, model: fx.GraphModule) -> fx.GraphModule:
        leave(float_nodes(model.graph, self.kept))
        changed: fx.GraphModule = self.quantizer.annotate(model)
        return changed

    def validate(self, model: fx.GraphModule) -> None:
        self.quantizer.validate(model)


def _float_inputs(node: fx.Node) -> list[fx.Node]:
    """Returns the inputs of an op that must stay float; of a node of its reference, the node itself and its inputs."""
    op = node.target if node.op == "call_function" else None
    if (spec := _spec(op)) is not None:
        arguments = _arguments(node)
        return [value for name in spec.float_inputs if isinstance(value := arguments.get(name), fx.Node)]
    origin = _spec(node.meta.get("original_aten"))
    return [node, *node.all_input_nodes] if origin is not None and origin.float_inputs else []


def _arguments(node: fx.Node) -> dict[str, Any]:
    """Returns the arguments of a call by name."""
    schema = getattr(node.target, "_schema", None)
    names = (each.name for each in schema.arguments) if schema else ()
    return dict(zip(names, node.args, strict=False)) | node.kwargs


def _spec(op: Any) -> Any:
    schema = getattr(op, "_schema", None)
    found = registry.for_torch_op(schema.name) if schema else None
    return found[1] if found else None


def _stack(node: fx.Node) -> list[str]:
    """Returns the paths of the modules that a node was exported from, the outermost first."""
    return [path for path, _ in (node.meta.get("nn_module_stack") or {}).values()]


def _is_within(place: str, name: str) -> bool:
    return place == name or place.startswith(f"{name}.")


def _kind(node: fx.Node) -> str | None:
    """Returns what a constant of a graph holds, None where it is no matrix of whole numbers of few bits."""
    value = node.meta.get("val")
    if node.op != "placeholder" or not isinstance(value, Tensor) or value.dim() < 2:
        return None
    lowest = {_arguments(user).get("quant_min") for user in node.users if dequantizes(user)}
    return "int4" if lowest == {-8} else _TYPES.get(value.dtype)


def _places(node: fx.Node) -> Iterator[str]:
    """Returns the innermost modules that use a constant, or its dequantized form."""
    for user in node.users:
        if dequantizes(user):
            yield from _places(user)
        elif stack := _stack(user):
            yield stack[-1]


def _layer(place: str, names: Sequence[str]) -> str | None:
    return max((name for name in names if _is_within(place, name)), key=len, default=None)


def _example(exported: ExportedProgram) -> tuple[Tensor, ...]:
    return tuple(exported.example_inputs[0])


def _drop_unused(module: fx.GraphModule) -> None:
    """Deletes the float weights, which stay beside the quantized ones and would be exported too."""
    used = {node.target for node in module.graph.nodes if node.op == "get_attr"}
    for name in [name for name, _ in module.named_parameters() if name not in used]:
        owner, _, leaf = name.rpartition(".")
        delattr(module.get_submodule(owner), leaf)


def _samples(program: Program) -> Iterator[tuple[Tensor, ...]]:
    """Cuts the calibration data into pieces of sizes that the program admits.

    Raises:
        DeployError: There is none.
    """
    batches = tuple(program.spec.calibration or ())
    if not batches:
        raise DeployError(f"{STATIC} needs calibration data", "Give the model some: ModelSpec(calibration=...).")
    rows = 0
    for batch in batches:
        shapes = [_admitted(program, *pair) for pair in zip(batch, program.facts.inputs, strict=True)]
        pieces = [-(-tensor.size(0) // shape[0]) for tensor, shape in zip(batch, shapes, strict=True) if tensor.dim()]
        for piece in range(max(pieces, default=1)):
            if rows >= CALIBRATION_ROWS:
                return
            rows += max((shape[0] for shape in shapes if shape), default=1)
            yield tuple(_piece(tensor.detach(), shape, piece) for tensor, shape in zip(batch, shapes, strict=True))


def _admitted(program: Program, tensor: Tensor, info: Any) -> tuple[int, ...]:
    """Returns the sizes nearest to those of a tensor that an input may have."""

    def size(own: int, wanted: int | str) -> int:
        axis = program.facts.axes[wanted] if isinstance(wanted, str) else None
        return min(max(own, axis.min), axis.max) if axis else int(wanted)

    return tuple(size(*pair) for pair in zip(tensor.shape, info.shape, strict=True))


def _piece(tensor: Tensor, shape: Sequence[int], number: int) -> Tensor:
    """Cuts the piece of a shape and a number out along axis 0; what is missing is filled up from the beginning."""
    for axis, size in enumerate(shape):
        start = number * size if axis == 0 else 0
        if (start, size) != (0, tensor.size(axis)):
            tensor = tensor.index_select(axis, torch.arange(start, start + size) % tensor.size(axis))
    return tensor
