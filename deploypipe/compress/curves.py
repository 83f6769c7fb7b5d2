"""Size and accuracy of a model over the settings of one way to prune it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from deploypipe.compress import recipe, scores
from deploypipe.compress.recipe import Pruning
from deploypipe.errors import DeployError
from deploypipe.spec import ModelSpec


@dataclass(frozen=True)
class Point:
    """One setting.

    Attributes:
        setting: Its value.
        weights_bytes: Of all parameters and buffers, as floats where they are floats.
        zipped_bytes: Of the same, compressed; the only size that zeros change.
        accuracy_before: In percent, before any training; new rows of hash layers know nothing then.
        accuracy_after: In percent, after it.
    """

    setting: float | str
    weights_bytes: int
    zipped_bytes: int
    accuracy_before: float
    accuracy_after: float


def curve(spec: ModelSpec, kind: str, settings: Sequence[float | str], **fixed: object) -> list[Point]:
    """Returns a point for each setting.

    Args:
        spec: Of the model that is pruned; it is trained on after each change.
        kind: What is set, a field of `Pruning`: `magnitude`, `channels`, `hashes`, ...
        settings: Its values.
        fixed: Other fields of `Pruning`, the same for every point.

    Raises:
        DeployError: The model has no score, or the setting does not fit it.
    """
    return [_point(spec, setting, Pruning.model_validate({**fixed, kind: setting})) for setting in settings]


def _point(spec: ModelSpec, setting: float | str, pruning: Pruning) -> Point:
    pruned = recipe.applied(spec, pruning).module
    return Point(
        setting=setting,
        weights_bytes=scores.weights_bytes(pruned),
        zipped_bytes=scores.zipped_bytes(pruned),
        accuracy_before=_accuracy(spec, recipe.changed(spec, pruning)),
        accuracy_after=_accuracy(spec, pruned),
    )


def _accuracy(spec: ModelSpec, module: nn.Module) -> float:
    found = scores.scores(spec, module)
    if not found:
        raise DeployError(f"The model '{spec.name}' has no score", "Give its ModelSpec an `evaluate`.")
    return next(iter(found.values()))
