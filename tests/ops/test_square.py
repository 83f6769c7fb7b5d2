"""square: gradients, layouts, export."""

from __future__ import annotations

import pytest
import torch

from deploypipe.ops import Square


def test_gradcheck() -> None:
    # The kernel is float32, so the check runs in double around it. Central differences of a square are
    # exact, which allows a step that is large against float32 rounding.
    def square(x: torch.Tensor) -> torch.Tensor:
        return Square()(x.float()).double()

    x = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert torch.autograd.gradcheck(square, (x,), eps=0.125, atol=1e-5, rtol=1e-5)


def test_the_gradient_is_twice_the_input() -> None:
    x = torch.tensor([-3.0, 0.5, 4.0], requires_grad=True)
    (gradient,) = torch.autograd.grad(Square()(x).sum(), x)
    assert gradient.tolist() == [-6.0, 1.0, 8.0]


def test_strided_input() -> None:
    x = torch.arange(12.0).reshape(3, 4).t()
    assert torch.equal(Square()(x), x * x)
    assert torch.equal(Square()(x[::2, 1:]), (x * x)[::2, 1:])


def test_the_out_overload() -> None:
    x, y = torch.arange(4.0), torch.empty(4)
    torch.ops.deploypipe.square.out(x, y=y)
    assert y.tolist() == [0, 1, 4, 9]


def test_double_is_refused() -> None:
    with pytest.raises((ValueError, RuntimeError), match="square"):
        Square()(torch.zeros(2, dtype=torch.float64))
