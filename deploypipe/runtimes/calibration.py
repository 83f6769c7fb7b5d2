"""Calibration data, cut into pieces of the sizes that a program admits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch

from deploypipe.errors import DeployError

if TYPE_CHECKING:
    from torch import Tensor

    from deploypipe.capture import Program
    from deploypipe.tensors import TensorInfo

# Rows that are used at most.
ROWS = 512


def samples(program: Program, precision: str) -> Iterator[tuple[Tensor, ...]]:
    """Yields inputs of a program, made of its calibration data.

    Args:
        program: Its spec has the data, its facts the sizes.
        precision: What needs the data, for the error.

    Raises:
        DeployError: There is no calibration data.
    """
    batches = tuple(program.spec.calibration or ())
    if not batches:
        raise DeployError(f"{precision} needs calibration data", "Give the model some: ModelSpec(calibration=...).")
    rows = 0
    for batch in batches:
        shapes = [_admitted(program, *pair) for pair in zip(batch, program.facts.inputs, strict=True)]
        for sample in _pieces(batch, shapes):
            if rows >= ROWS:
                return
            rows += max((shape[0] for shape in shapes if shape), default=1)
            yield sample


def _admitted(program: Program, tensor: Tensor, info: TensorInfo) -> tuple[int, ...]:
    """Returns the sizes nearest to those of a tensor that an input may have."""

    def size(own: int, wanted: int | str) -> int:
        axis = program.facts.axes.get(wanted) if isinstance(wanted, str) else None
        return min(max(own, axis.min), axis.max) if axis else int(wanted)

    return tuple(size(*pair) for pair in zip(tensor.shape, info.shape, strict=True))


def _pieces(batch: Sequence[Tensor], shapes: Sequence[Sequence[int]]) -> Iterator[tuple[Tensor, ...]]:
    counts = [-(-tensor.size(0) // shape[0]) for tensor, shape in zip(batch, shapes, strict=True) if shape]
    for number in range(max(counts, default=1)):
        yield tuple(_piece(tensor.detach(), shape, number) for tensor, shape in zip(batch, shapes, strict=True))


def _piece(tensor: Tensor, shape: Sequence[int], number: int) -> Tensor:
    """Cuts the piece of a shape and a number out along axis 0; what is missing is filled up from the beginning."""
    for axis, size in enumerate(shape):
        start = number * size if axis == 0 else 0
        if (start, size) != (0, tensor.size(axis)):
            tensor = tensor.index_select(axis, torch.arange(start, start + size) % tensor.size(axis))
    return tensor
