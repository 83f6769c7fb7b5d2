"""Scores and sizes of a module as it is, before any runtime lowers it."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from deploypipe.predict import CHUNK, chunked, scores_of
from deploypipe.spec import ModelSpec

if TYPE_CHECKING:
    import numpy as np


def scores(spec: ModelSpec, module: nn.Module) -> dict[str, float]:
    """Returns the scores of a module on the evaluation of a spec, in eager PyTorch; none without an evaluation."""

    def run(*arrays: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], ...]:
        with torch.no_grad():
            result = module(*map(torch.from_numpy, arrays))
        return tuple(leaf.numpy() for leaf in torch.utils._pytree.tree_leaves(result))

    batched = spec.dynamic_axes is None or all(0 in axes for axes in spec.dynamic_axes.values())
    return scores_of(spec.evaluate, chunked(run, CHUNK if batched else None))


def weights_bytes(module: nn.Module) -> int:
    """Returns the bytes of all parameters and buffers that a checkpoint of a module holds."""
    return sum(value.numel() * value.element_size() for value in module.state_dict().values())


def zipped_bytes(module: nn.Module) -> int:
    """Returns the bytes of the same when each tensor is compressed by zlib."""
    values = (value.detach().contiguous().flatten().view(torch.uint8) for value in module.state_dict().values())
    return sum(len(zlib.compress(value.numpy().tobytes())) for value in values)
