"""What structured pruning has to know about the LLTM: which weights belong to a hidden unit, and what it is worth."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch_pruning as tp
from torch import Tensor, nn

from deploypipe.ops import LLTM, LLTMCell, panels

KINDS = (LLTM, LLTMCell)


class LLTMPruner(tp.pruner.BasePruningFunc):  # type: ignore[misc]
    """Output channels are hidden units; input channels are columns of x."""

    TARGET_MODULES = KINDS

    def prune_out_channels(self, layer: LLTM, idxs: Sequence[int]) -> nn.Module:
        """Takes units out of the rows of all three gates and out of the columns of h."""
        units = _others(layer.hidden_size, idxs)
        rows = torch.cat([units + gate * layer.hidden_size for gate in range(panels.GATES)])
        of_x = torch.arange(layer.hidden_size, layer.weight.size(1))
        layer.weight = nn.Parameter(layer.weight.detach()[rows][:, torch.cat([units, of_x])])
        layer.bias = nn.Parameter(layer.bias.detach()[rows])
        layer.hidden_size = len(units)
        return layer

    def prune_in_channels(self, layer: LLTM, idxs: Sequence[int]) -> nn.Module:
        """Takes columns of x out."""
        columns = _others(layer.weight.size(1), [layer.hidden_size + index for index in idxs])
        layer.weight = nn.Parameter(layer.weight.detach()[:, columns])
        layer.input_size = len(columns) - layer.hidden_size
        return layer

    def get_out_channels(self, layer: LLTM) -> int:
        """Returns H."""
        return layer.hidden_size

    def get_in_channels(self, layer: LLTM) -> int:
        """Returns I."""
        return layer.input_size


def _others(count: int, left_out: Sequence[int]) -> Tensor:
    kept = torch.ones(count, dtype=torch.bool)
    kept[list(left_out)] = False
    return kept.nonzero().flatten()


PRUNER = LLTMPruner()


class Importance(tp.importance.GroupMagnitudeImportance):  # type: ignore[misc]
    """The norm of all weights that go with a channel, those of LLTM layers among them."""

    @torch.no_grad()
    def __call__(self, group: tp.Group) -> Tensor | None:
        """Returns one value per channel of a group."""
        of_others = super().__call__(group)
        parts = [] if of_others is None else [of_others]
        parts += [
            self._normalize(_unit_norms(item.dep.target.module)[item.root_idxs], self.normalizer)
            for item in group
            if item.dep.handler == PRUNER.prune_out_channels
        ]
        return torch.stack(parts).sum(dim=0) if parts else None


def _unit_norms(layer: LLTM) -> Tensor:
    """Returns the sum of squares of a unit's rows in the three gates and of its column of h, float32[H]."""
    square = layer.weight.detach() ** 2
    return square.sum(dim=1).reshape(panels.GATES, -1).sum(dim=0) + square.sum(dim=0)[: layer.hidden_size]
