"""square: the smallest op, and the one of the tutorial."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from deploypipe.oplib.spec import Gradient, OpSpec, Sample


def reference(x: Tensor) -> Tensor:
    """Returns the square of every element.

    Args:
        x: float32 of any shape.
    """
    return x * x


class Square(nn.Module):
    """Squares every element of a float32 tensor of any shape, with the native kernel."""

    def forward(self, x: Tensor) -> Tensor:
        """Returns `x * x`, of the shape of `x`."""
        y: Tensor = torch.ops.deploypipe.square(x)
        return y


def _setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _backward(ctx: Any, grad: Tensor) -> Tensor:
    dx: Tensor = torch.ops.deploypipe.square_backward(grad, *ctx.saved_tensors)
    return dx


def samples() -> tuple[Sample, ...]:
    """Returns calls of several ranks, one of them empty."""
    generator = torch.Generator().manual_seed(1)
    shapes = {"batch1": (1, 4), "odd": (7, 3, 5), "long": (1031,), "scalar": (), "empty": (0, 3)}
    return tuple(Sample(name, (torch.randn(shape, generator=generator),)) for name, shape in shapes.items())


SPEC = OpSpec(name="square", reference=reference, samples=samples, gradient=Gradient(_backward, _setup_context))
