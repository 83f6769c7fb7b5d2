"""lltm_training and lltm_backward, on every instruction set, against autograd in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given

from . import strategies
from .harness import Array, Kernels
from .strategies import Shape
from .test_lltm import LIMIT, far


def reference(x: torch.Tensor, h: torch.Tensor, c: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> Any:
    """Runs the layer as oracle.lltm does, for autograd."""
    outputs = []
    for data in x:
        i, o, g = (torch.cat([h, data], dim=1) @ weight.T + bias).chunk(3, dim=1)
        c = c + torch.sigmoid(i) * torch.nn.functional.elu(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs), h, c


def gradients(call: tuple[Array, ...], upstream: tuple[Array, ...]) -> list[Array]:
    """Returns the gradients of the five arguments for those of the three outputs."""
    arguments = [torch.from_numpy(each).double().requires_grad_() for each in call]
    outputs = reference(*arguments)
    loss = sum((out * torch.from_numpy(grad).double()).sum() for out, grad in zip(outputs, upstream, strict=True))
    found = torch.autograd.grad(loss, arguments, allow_unused=True, materialize_grads=True)
    return [each.numpy() for each in found]


def check(kernels: Kernels, rng: np.random.Generator, shape: Shape, shift: int = 0) -> None:
    call = strategies.lltm_call(rng, shape)
    steps, batch, _, hidden = shape
    sizes = ((steps, batch, hidden), (batch, hidden), (batch, hidden))
    upstream = tuple(rng.standard_normal(each).astype(np.float32) for each in sizes)
    expected = gradients(call, upstream)
    for isa, (output, h, c, gates, cells) in kernels.on_every_set("lltm_training", call, shift=shift):
        assert far((output, h, c), kernels.run(isa, "lltm", call)) < LIMIT, f"lltm_training on {isa}"
        saved = (*upstream, *call[:4], output, gates, cells)
        found = kernels.run(isa, "lltm_backward", saved, shift=shift)
        assert far(found, expected) < LIMIT, f"lltm_backward on {isa}"


@given(rng=strategies.generators, shape=strategies.lltm_shapes(), shift=strategies.shifts)
def test_shapes(kernels: Kernels, rng: np.random.Generator, shape: Shape, shift: int) -> None:
    steps, *rest = shape
    check(kernels, rng, (max(1, steps), *rest), shift)


@pytest.mark.parametrize("shape", [(5, 32, 28, 128), (3, 1, 128, 128), (2, 6, 200, 130), (21, 50, 5, 9)])
def test_larger_shapes(kernels: Kernels, shape: Shape) -> None:
    check(kernels, np.random.default_rng(11), shape)


def test_no_step_passes_the_gradient_through(kernels: Kernels) -> None:
    rng = np.random.default_rng(12)
    call = strategies.lltm_call(rng, (0, 3, 5, 17))
    empty, grad_h, grad_c = np.zeros((0, 3, 17), np.float32), call[1] + 1, call[2] + 1
    saved = (empty, grad_h, grad_c, *call[:4], empty, np.zeros((0, 3, 51), np.float32), empty)
    for isa, found in kernels.on_every_set("lltm_backward", saved):
        assert np.array_equal(found[1], grad_h), isa
        assert np.array_equal(found[2], grad_c), isa
        assert not found[3].any(), isa
        assert not found[4].any(), isa


def test_the_saved_values_are_the_activated_gates(kernels: Kernels) -> None:
    """With all weights zero the gates are those of the bias, and the cells grow by i * g each step."""
    call = strategies.lltm_call(np.random.default_rng(13), (3, 2, 4, 5))
    bias = call[4].astype(np.float64)
    i, o = 1 / (1 + np.exp(-bias[:5])), 1 / (1 + np.exp(-bias[5:10]))
    g = np.where(bias[10:] > 0, bias[10:], np.expm1(bias[10:]))
    cells = call[2] + np.arange(1, 4)[:, None, None] * (i * g)
    for isa, outputs in kernels.on_every_set("lltm_training", [*call[:3], call[3] * 0, call[4]]):
        expected = (np.broadcast_to(np.concatenate([i, o, g]), (3, 2, 15)), cells)
        assert far(outputs[3:], expected) < LIMIT, isa
