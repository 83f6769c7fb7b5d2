"""The layers of a model that hold weights, and what became of each in an artifact."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from deploypipe.errors import DeployError

if TYPE_CHECKING:
    from torch import nn

# A table of codes is `uint8` whatever is asked for.
QUANTIZED = {"bf16", "int8", "int4"}
NEEDED = "an op that takes float only needs what it gives"


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


def within(name: str, whole: str) -> bool:
    """Tells whether a path is that of a module or of a part of it; the model itself is the empty path."""
    return not whole or f"{name}.".startswith(f"{whole}.")


def at(place: str, names: Iterable[str]) -> str | None:
    """Returns the layer that a module is, or is a part of; None where it belongs to none.

    Args:
        place: Path of the module.
        names: Paths of the layers.
    """
    return max((name for name in names if within(place, name)), key=len, default=None)


def states(
    layers: Sequence[Layer],
    found: Mapping[str, str],
    why: Callable[[Layer], str],
    precision: str,
    kept: Sequence[str] = (),
) -> tuple[LayerState, ...]:
    """Returns what became of each layer.

    Args:
        layers: Those of the model.
        found: Precision of those that are not float in the artifact, by name.
        why: The runtime's reason for one that is float.
        precision: What was asked for.
        kept: Paths of those that were asked to stay float.

    Raises:
        DeployError: Something other than fp32 was asked for, and all stayed float.
    """
    if precision == "fp32":
        return tuple(_state(each, found, "") for each in layers)
    if not QUANTIZED.intersection(found.values()):
        raise DeployError(
            f"There is nothing in the model that {precision} could quantize",
            "Take fp32: what its ops need stays float, and the rest has no weights.",
        )
    return tuple(_state(each, found, _reason(each, why, kept)) for each in layers)


def _state(layer: Layer, found: Mapping[str, str], reason: str) -> LayerState:
    return LayerState(
        name=layer.name,
        kind=layer.kind,
        weights=layer.weights,
        precision=found.get(layer.name, "fp32"),
        reason="" if layer.name in found else reason,
    )


def _reason(layer: Layer, why: Callable[[Layer], str], kept: Sequence[str]) -> str:
    if layer.float_only:
        return "its hashes would change: it takes float only"
    return "it was asked to stay float" if any(within(layer.name, name) for name in kept) else why(layer)
