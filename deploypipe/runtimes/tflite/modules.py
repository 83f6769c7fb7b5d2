"""Modules that stand in a graph for an op: parts of loops, and the reference of an op that must stay float."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from deploypipe.runtimes.tflite import lowerings
from deploypipe.runtimes.tflite.loops import BLOCK, PLACE

Reference = Callable[..., Any]


class _Part(nn.Module):
    def __init__(self, reference: Reference, constants: Sequence[Tensor]) -> None:
        super().__init__()
        self.reference = reference
        self.count = len(constants)
        for number, constant in enumerate(constants):
            self.register_buffer(f"constant_{number}", constant.detach().contiguous())

    def constants(self) -> list[Tensor]:
        return [getattr(self, f"constant_{number}") for number in range(self.count)]


class Body(_Part):
    """One round of a loop: a block of steps by the op's reference."""

    def forward(self, step: Tensor, output: Tensor, sequence: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Takes step int32[], output [T,...], sequence [T,...] and the states; returns the same, one block later."""
        block = torch.ops.deploypipe_tflite.take(sequence, step + torch.arange(BLOCK, dtype=torch.int32))
        part, *after = self.reference(block, *states, *self.constants())
        start = torch.cat([step.reshape(1), torch.zeros(output.dim() - 1, dtype=torch.int32)])
        return step + BLOCK, torch.ops.deploypipe_tflite.update(output, part, start), sequence.clone(), *after


class KeptFloat(nn.Module):
    """The reference of an op whose inputs no quantizer may touch; its name tells the tensors from others.

    Args:
        reference: Of the op.
        attributes: Its arguments that are no tensors, by name.
    """

    def __init__(self, reference: Reference, attributes: Mapping[str, int | float]) -> None:
        super().__init__()
        self.reference, self.attributes = reference, dict(attributes)

    def forward(self, *inputs: Tensor) -> Any:
        """Takes the tensors of a call of the op, returns what it does."""
        return self.reference(*inputs, **self.attributes)


class Condition(nn.Module):
    """Whether there is another round.

    Args:
        whole: Steps that the loop does, a multiple of the block.
    """

    def __init__(self, whole: int) -> None:
        super().__init__()
        self.whole = whole

    def forward(self, step: Tensor, *_rest: Tensor) -> Tensor:
        """Takes what the loop hands on; returns bool[]."""
        return step < self.whole


class Place(_Part):
    """Stands in the model for the op: a placeholder for the loop, and the steps that remain after it.

    Args:
        number: Of the loop.
        whole: Steps that the loop does.
        reference: Of the op.
        constants: Its parameters.
    """

    def __init__(self, number: int, whole: int, reference: Reference, constants: Sequence[Tensor]) -> None:
        super().__init__(reference, constants)
        self.number, self.whole = number, whole

    def forward(self, sequence: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Takes and returns what the op does."""
        step = torch.zeros((), dtype=torch.int32)
        looped = sequence[: self.whole]
        like = self.reference(sequence[:1], *states, *self.constants())[0]
        output = torch.zeros((self.whole, *like.shape[1:]), dtype=like.dtype)
        _, output, _, *after = torch.ops.deploypipe_tflite.loop([step, output, looped, *states], self.number)
        if self.whole == sequence.size(0):
            return output, *after
        rest, *after = self.reference(sequence[self.whole :], *after, *self.constants())
        return torch.cat([output, rest]), *after


@functools.cache
def register() -> None:
    """Makes the placeholder, and the two operators of a body, known to torch and to litert-torch."""
    from litert_torch.backend import lowerings as registry

    table = (("take", _take, _lower_take), ("update", _update, _lower_update), ("loop", _loop, _lower_loop))
    for name, fake, lower in table:
        torch.library.custom_op(f"deploypipe_tflite::{name}", fake, mutates_args=()).register_fake(fake)
        registry.lower(getattr(torch.ops.deploypipe_tflite, name).default)(lower)


# Only their shapes are asked for: the three are lowered and never run in torch.


def _take(sequence: Tensor, rows: Tensor) -> Tensor:
    return sequence.new_zeros((rows.size(0), *sequence.shape[1:]))


def _update(whole: Tensor, part: Tensor, start: Tensor) -> Tensor:
    return torch.zeros_like(whole)


def _loop(carried: list[Tensor], number: int) -> list[Tensor]:
    return [torch.zeros_like(each) for each in carried]


def _lower_take(context: Any, sequence: Any, rows: Any) -> Any:
    axis = lowerings.number(0)
    return lowerings.emit(context, "tfl.gather", [sequence, rows], {"axis": axis, "batch_dims": axis})


def _lower_update(context: Any, whole: Any, part: Any, start: Any) -> Any:
    return lowerings.emit(context, "tfl.dynamic_update_slice", [whole, part, start])


def _lower_loop(context: Any, carried: Sequence[Any], number: int) -> Any:
    return lowerings.emit(context, f"{PLACE}{number}", carried)
