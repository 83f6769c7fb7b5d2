"""Unstructured pruning: the weights of least magnitude become zero."""

from __future__ import annotations

import copy
from typing import Any

from torch import nn
from torch.nn.utils import prune

from deploypipe.ops import LLTM, LLTMCell

KINDS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, LLTM, LLTMCell)


def layers(module: nn.Module) -> list[Any]:
    """Returns the layers of a module whose `weight` can be pruned."""
    return [part for part in module.modules() if isinstance(part, KINDS)]


def pruned(module: nn.Module, share: float) -> nn.Module:
    """Returns a copy in which a share of the weights of all linear, convolution and LLTM layers is zero.

    The weights are ranked over all layers together. No file becomes smaller by it, unless it is zipped: zeros take
    as many bytes as other numbers.

    Args:
        module: Is not changed.
        share: 0 to 1.
    """
    copied = copy.deepcopy(module)
    found = layers(copied)
    prune.global_unstructured([(layer, "weight") for layer in found], prune.L1Unstructured, amount=share)
    for layer in found:
        prune.remove(layer, "weight")
    return copied
