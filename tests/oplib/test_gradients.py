"""Gradients of ops, with training ops and without; the ops are written in Python here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from deploypipe.oplib import gradients
from deploypipe.oplib.spec import Gradient, OpSpec, Sample

CALLS: list[str] = []


def _cube(x: torch.Tensor) -> torch.Tensor:
    CALLS.append("cube")
    return x**3


def _cube_training(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    CALLS.append("cube_training")
    return x**3, x**2


def _save_square(ctx: Any, inputs: tuple[torch.Tensor], output: tuple[torch.Tensor, torch.Tensor]) -> None:
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(output[1])


def _backward(ctx: Any, gradient: torch.Tensor, *_: Any) -> torch.Tensor:
    (square,) = ctx.saved_tensors
    return 3 * square * gradient


@pytest.fixture(scope="module")
def cube() -> Iterator[Any]:
    with torch.library._scoped_library("gradienttest", "DEF") as library:
        library.define("cube(Tensor x) -> Tensor", tags=torch.Tag.pt2_compliant_tag)
        library.define("cube_training(Tensor x) -> (Tensor, Tensor)", tags=torch.Tag.pt2_compliant_tag)
        library.impl("cube", _cube, "CPU")
        library.impl("cube_training", _cube_training, "CPU")
        library.impl("cube", torch.empty_like, "Meta")
        library.impl("cube_training", lambda x: (torch.empty_like(x), torch.empty_like(x)), "Meta")
        gradient = Gradient(_backward, _save_square, training="cube_training")
        gradients.register("gradienttest", OpSpec("cube", _cube, tuple, gradient=gradient))
        yield torch.ops.gradienttest.cube


def _called(op: Any, x: torch.Tensor) -> list[str]:
    CALLS.clear()
    op(x)
    return list(CALLS)


def test_the_training_op_is_called_only_where_autograd_records(cube: Any) -> None:
    x = torch.randn(3, requires_grad=True)
    assert _called(cube, x) == ["cube_training"]
    assert _called(cube, x.detach()) == ["cube"]
    with torch.no_grad():
        assert _called(cube, x) == ["cube"]
    with torch.inference_mode():
        assert _called(cube, torch.randn(3)) == ["cube"]


def test_the_gradient_is_made_of_what_the_training_op_saved(cube: Any) -> None:
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    y = cube(x)
    assert y.tolist() == [1, -8]
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert gradient.tolist() == [3, 12]


def test_opcheck(cube: Any) -> None:
    torch.library.opcheck(cube.default, (torch.randn(3, requires_grad=True),))


def test_an_op_without_a_gradient_is_left_alone() -> None:
    gradients.register("nowhere", OpSpec("nothing", _cube, tuple))


def test_the_arguments_of_a_sample_stand_in_the_order_of_the_signature() -> None:
    table = torch.zeros(1, 2, 64)
    sample = Sample("one", (torch.rand(3, 2), table), {"hashes": 5})
    arguments = sample.arguments(torch.ops.deploypipe.cws_dense.default)
    assert arguments[1] == 5
    assert arguments[2] is table
