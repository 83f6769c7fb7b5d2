"""The sensitivity of each group of layers: what the model loses when that group alone has few bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from deploypipe.search.space import Group

if TYPE_CHECKING:
    import torch
    from torch import nn

    from deploypipe.spec import ModelSpec

BITS = (8, 4)


class Sensitivity(BaseModel):
    """What a group does to the model, in eager PyTorch.

    Attributes:
        group: Its name.
        weights: Numbers in its weights.
        errors: Bits of the weights to the normalized error of the outputs on calibration data.
        drops: Bits of the weights to points lost of the worst score.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    group: str
    weights: int
    errors: dict[int, float]
    drops: dict[int, float]


def measure(spec: ModelSpec, groups: Sequence[Group]) -> list[Sensitivity]:
    """Returns the sensitivity of every group, the largest error with 8 bits first.

    Weights are rounded to a scale per output channel, as every runtime does. Activations stay float: what they
    lose depends on the runtime, and is measured there.

    Args:
        spec: A resolved spec.
        groups: Those of its layers.
    """
    exact = _Answers.of(spec, spec.module)
    found = [_group(spec, each, exact) for each in groups]
    return sorted(found, key=lambda each: (-each.errors[BITS[0]], each.group))


def _group(spec: ModelSpec, group: Group, exact: _Answers) -> Sensitivity:
    answers = {bits: _Answers.of(spec, rounded(spec.module, group.layers, bits)) for bits in BITS}
    parts = dict(spec.module.named_modules())
    return Sensitivity(
        group=group.name,
        weights=sum(each.numel() for name in group.layers for each in _weights(parts[name])),
        errors={bits: each.error(exact) for bits, each in answers.items()},
        drops={bits: each.drop(exact) for bits, each in answers.items()},
    )


class _Answers:
    """What a module gives for the calibration data, and its scores."""

    def __init__(self, outputs: list[torch.Tensor], scores: dict[str, float]) -> None:
        self.outputs, self.scores = outputs, scores

    @classmethod
    def of(cls, spec: ModelSpec, module: nn.Module) -> _Answers:
        import torch

        from deploypipe.compress.scores import scores

        batches = list(spec.calibration or ()) or [spec.example_inputs]
        with torch.no_grad():
            outputs = [leaf for batch in batches for leaf in torch.utils._pytree.tree_leaves(module(*batch))]
            return cls(outputs, scores(spec, module))

    def error(self, exact: _Answers) -> float:
        from deploypipe.parity import metric_for

        pairs = [(one.numpy(), other.numpy()) for one, other in zip(self.outputs, exact.outputs, strict=True)]
        return max(metric_for(other).distance(one, other) for one, other in pairs)

    def drop(self, exact: _Answers) -> float:
        return max((score - self.scores[name] for name, score in exact.scores.items()), default=0.0)


def rounded(module: nn.Module, layers: Sequence[str], bits: int) -> nn.Module:
    """Returns a copy of a model in which the weights of some layers are rounded, a scale per output channel."""
    import copy

    made = copy.deepcopy(module)
    parts = dict(made.named_modules())
    for name in layers:
        for weight in _weights(parts[name]):
            weight.data = _rounded(weight.data, bits)
    return made


def _weights(layer: nn.Module) -> list[torch.Tensor]:
    own = [*layer.parameters(recurse=False), *layer.buffers(recurse=False)]
    return [tensor for tensor in own if tensor.dim() >= 2 and tensor.is_floating_point()]


def _rounded(weight: torch.Tensor, bits: int) -> torch.Tensor:
    levels = 2 ** (bits - 1) - 1
    rows = weight.flatten(1)
    scale = (rows.abs().amax(dim=1, keepdim=True) / levels).clamp(min=1e-30)
    made: torch.Tensor = ((rows / scale).round() * scale).view_as(weight)
    return made
