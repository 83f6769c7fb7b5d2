"""The layers of a model that hold weights, and what became of each in an artifact."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from torch import nn


class Layer(BaseModel):
    """A module of the user's model that holds weights itself.

    Attributes:
        name: Its path in the model, as in `named_modules()`.
        kind: Name of its class.
        weights: Numbers in its weights: parameters and buffers of two axes or more.
        float_only: It is a custom op whose inputs no quantizer may touch.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    kind: str
    weights: int
    float_only: bool = False


class LayerState(BaseModel):
    """What became of a layer in an artifact.

    Attributes:
        name: Its path in the model.
        kind: Name of its class.
        weights: Numbers in its weights.
        precision: `fp32`, `bf16`, `int8`, `int4`, or `uint8` for a table of codes.
        reason: Why it stayed float; empty where it did not, or where nothing else was asked for.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    kind: str
    weights: int
    precision: str
    reason: str = ""


def of(module: nn.Module) -> tuple[Layer, ...]:
    """Returns the layers of a model in the order of its modules."""
    from deploypipe.ops import CWS

    found = ((name, part, _weights(part)) for name, part in module.named_modules())
    return tuple(
        Layer(name=name, kind=type(part).__name__, weights=weights, float_only=isinstance(part, CWS))
        for name, part, weights in found
        if weights
    )


def _weights(part: nn.Module) -> int:
    own = [*part.parameters(recurse=False), *part.buffers(recurse=False)]
    return sum(tensor.numel() for tensor in own if tensor.dim() >= 2)


def states(
    layers: Sequence[Layer],
    found: Mapping[str, str],
    why: Callable[[Layer], str],
    kept: Sequence[str] = (),
) -> tuple[LayerState, ...]:
    """Returns what became of each layer.

    Args:
        layers: Those of the model.
        found: Precision of those that are not float in the artifact, by name.
        why: The runtime's reason for one that is float.
        kept: Those that were asked to stay float.
    """
    return tuple(
        LayerState(
            name=each.name,
            kind=each.kind,
            weights=each.weights,
            precision=found.get(each.name, "fp32"),
            reason="" if each.name in found else _reason(each, why, kept),
        )
        for each in layers
    )


def _reason(layer: Layer, why: Callable[[Layer], str], kept: Sequence[str]) -> str:
    if layer.float_only:
        return "its hashes would change: it takes float only"
    return "it was asked to stay float" if layer.name in kept else why(layer)
