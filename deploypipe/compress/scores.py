"""Scores and sizes of a module as it is, before any runtime lowers it."""

from __future__ import annotations

import zlib

import torch
from torch import nn

from deploypipe.predict import CHUNK, chunked, eager, scores_of
from deploypipe.spec import ModelSpec


def scores(spec: ModelSpec, module: nn.Module) -> dict[str, float]:
    """Returns the scores of a module on the evaluation of a spec, in eager PyTorch; none without an evaluation."""
    batched = spec.dynamic_axes is None or all(0 in axes for axes in spec.dynamic_axes.values())
    return scores_of(spec.evaluate, chunked(eager(module), CHUNK if batched else None))


def weights_bytes(module: nn.Module) -> int:
    """Returns the bytes of all parameters and buffers that a checkpoint of a module holds."""
    return sum(value.numel() * value.element_size() for value in module.state_dict().values())


def zipped_bytes(module: nn.Module) -> int:
    """Returns the bytes of the same when each tensor is compressed by zlib."""
    values = (value.detach().contiguous().flatten().view(torch.uint8) for value in module.state_dict().values())
    return sum(len(zlib.compress(value.numpy().tobytes())) for value in values)
