"""Long sequences: an op that goes over one step by step becomes one WHILE, whose body does a block of steps.

torch has nothing that litert-torch turns into a WHILE. So body and condition are converted as signatures of their
own beside the model, in which a placeholder stands, and are put together in the finished file.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from deploypipe.oplib import registry
from deploypipe.runtimes.tflite import flatbuffer, lowerings, marks
from deploypipe.runtimes.tflite import graph as ops

if TYPE_CHECKING:
    import torch

    from deploypipe.layers import Layer

# Steps that are still written out one after another.
UNROLLED = 64
# Steps in one round of a loop. Each round copies what the loop hands on, so that single steps would be slow.
BLOCK = 16

# Begins the code of a placeholder.
PLACE = f"{lowerings.PREFIX}deploypipe_loop."


@dataclass(frozen=True)
class Loop:
    """A sequence that is to be run by a WHILE.

    Attributes:
        op: The op that goes over it, `deploypipe::lltm`.
        path: The module that calls it.
        length: Steps of the sequence.
        body: One round: takes and returns all that the loop hands on.
        condition: Takes the same, returns whether there is another round.
    """

    op: str
    path: str
    length: int
    body: torch.nn.Module
    condition: torch.nn.Module

    def describe(self) -> str:
        """Returns a note for the manifest."""
        return f"{self.length} steps, by a WHILE with {BLOCK} in a round"


def rewrite(graph: torch.fx.GraphModule) -> list[Loop]:
    """Replaces every op over a long sequence by a placeholder; `splice` makes loops of them.

    An op is left as it is where its spec names no states, its sequence is short or of open length, or its
    parameters are not constants of the model.
    """
    loops: list[Loop] = []
    for node in list(graph.graph.nodes):
        length = _length(node)
        if length > UNROLLED and (constants := _constants(graph, node)) is not None:
            loops.append(_replace(graph, node, length, constants, len(loops)))
    graph.graph.eliminate_dead_code()
    graph.recompile()
    return loops


def unrolled(graph: torch.fx.GraphModule) -> dict[str, str]:
    """Describes the sequences that are written out, by op."""
    lengths = ((node, _length(node)) for node in graph.graph.nodes)
    return {ops.schema_of(node).name: f"{length} steps, written out" for node, length in lengths if length}


def _length(node: torch.fx.Node) -> int:
    """Returns the steps of an op with states, 0 for anything else and where the number is open."""
    spec, arguments = ops.spec_of(node), cast("Sequence[Any]", node.args)
    size = arguments[0].meta["val"].shape[0] if spec and spec.states else 0
    return size if isinstance(size, int) else 0


def _handed(node: torch.fx.Node) -> int:
    """Returns how many inputs are no parameters: the sequence and the states."""
    return 1 + len(registry.provider(ops.schema_of(node).name)[1].states)


def _constants(graph: torch.fx.GraphModule, node: torch.fx.Node) -> list[torch.Tensor] | None:
    rest: Sequence[Any] = node.args[_handed(node) :]
    if node.kwargs or not all(getattr(each, "op", "") == "get_attr" for each in rest):
        return None
    found: list[Any] = [functools.reduce(getattr, each.target.split("."), graph) for each in rest]
    return found


def _replace(
    graph: torch.fx.GraphModule, node: torch.fx.Node, length: int, constants: Sequence[torch.Tensor], number: int
) -> Loop:
    name: str = ops.schema_of(node).name
    reference = registry.provider(name)[1].reference
    body = _modules().Body(reference, constants)
    whole = length // BLOCK * BLOCK
    place = _modules().Place(number, whole, reference, constants)
    path = ops.path_of(node)
    ops.replace(graph, node, f"deploypipe_loop_{number}", place, node.args[: _handed(node)])
    return Loop(name, path, length, body, _modules().Condition(whole))


@functools.cache
def _modules() -> Any:
    """Defines what needs torch, once."""
    from deploypipe.runtimes.tflite import modules

    modules.register()
    return modules


def handed_on(graph: torch.fx.GraphModule, number: int) -> tuple[torch.Tensor, ...]:
    """Returns tensors of the shapes and dtypes that a loop of an exported graph hands on."""
    import torch

    place = torch.ops.deploypipe_tflite.loop.default
    node = next(node for node in graph.graph.nodes if node.target is place and node.args[1] == number)
    values: Any = [each.meta["val"] for each in node.args[0]]
    return tuple(torch.zeros(tuple(each.shape), dtype=each.dtype) for each in values)


def splice(model: flatbuffer.Model, loops: Sequence[Loop], layers: Sequence[Layer]) -> None:
    """Puts a WHILE in the place of each placeholder of a converted file, and drops the signatures of its parts."""
    kinds = flatbuffer.schema()
    parts = {each.signatureKey.decode(): each.subgraphIndex for each in model.signatureDefs}
    for subgraph in model.subgraphs:
        for at, operator in enumerate(subgraph.operators or ()):
            code = flatbuffer.custom_code(model, operator)
            if not code.startswith(PLACE):
                continue
            number = int(code.removeprefix(PLACE))
            options = kinds.WhileOptionsT()
            options.condSubgraphIndex, options.bodySubgraphIndex = parts[f"condition_{number}"], parts[f"body_{number}"]
            subgraph.operators[at] = flatbuffer.add_operator(
                model, "WHILE", 1, operator.inputs, operator.outputs, options
            )
    for number, loop in enumerate(loops):
        for tensor in model.subgraphs[parts[f"body_{number}"]].tensors:
            tensor.name = marks.said([loop.path], layers).encode() + tensor.name
    inner = {f"{part}_{number}" for part in ("body", "condition") for number in range(len(loops))}
    model.signatureDefs = [each for each in model.signatureDefs if each.signatureKey.decode() not in inner]
