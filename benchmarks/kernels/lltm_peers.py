"""Torch on recurrent layers: the LLTM in eager mode, compiled and in training, and torch.nn.LSTM."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.kernels.compiled import compiled
from benchmarks.kernels.lltm_data import LltmData
from benchmarks.kernels.own import inference, tensors
from benchmarks.kernels.timing import Lane, Outputs, repeat

if TYPE_CHECKING:
    from torch import Tensor, nn


def projected_form(input: Tensor, h0: Tensor, c0: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, ...]:
    """Runs the layer with one product for all projections of the input, and one product per step."""
    import torch
    from torch.nn import functional as F

    hidden = h0.size(1)
    projected = F.linear(input, weight[:, hidden:], bias)
    recurrent = weight[:, :hidden].t()
    h, c, outputs = h0, c0, []
    for step in projected.unbind(0):
        gates = torch.addmm(step, h, recurrent)
        i, o = gates[:, : 2 * hidden].sigmoid().chunk(2, 1)
        c = c + i * F.elu(gates[:, 2 * hidden :])
        h = o * c.tanh()
        outputs.append(h)
    return torch.stack(outputs), h, c


def torch_lanes(data: LltmData) -> list[Lane]:
    """Returns torch in eager mode: the reference of the op, and one product for all projections."""
    from deploypipe.ops import lltm

    forms = {"torch eager": lltm.reference, "torch eager, projected": projected_form}
    return [_torch(name, functools.partial(form, *_arguments(data))) for name, form in forms.items()]


def compiled_lane(data: LltmData) -> Lane:
    """Returns torch.compile of the form that has less to do in a step, compiled."""
    call = functools.partial(compiled(projected_form), *_arguments(data))
    lane = _torch("torch.compile", call)
    lane.run(2)
    return lane


def lstm(data: LltmData) -> nn.LSTM:
    """Makes a layer of torch with four gates, of the same sizes."""
    import torch

    torch.manual_seed(0)
    return torch.nn.LSTM(data.input.shape[2], data.hidden).requires_grad_(False)


def lstm_lane(data: LltmData, layer: nn.LSTM) -> Lane:
    """Returns torch.nn.LSTM, which calls oneDNN or MKL."""
    import torch

    x = torch.from_numpy(data.input)

    def call() -> tuple[Tensor, ...]:
        output, (h, c) = layer(x)
        return output, h[0], c[0]

    return Lane("torch.nn.LSTM", inference(call), functools.partial(tensors, call), "lstm")


def training_lanes(data: LltmData) -> list[Lane]:
    """Returns forward and backward: by the project's layer, and by autograd through the reference and a better form."""
    import torch

    from deploypipe.ops import LLTM, lltm

    input, h0, c0, weight, bias = _arguments(data)
    module = LLTM(data.input.shape[2], data.hidden)
    with torch.no_grad():
        module.weight.copy_(weight)
        module.bias.copy_(bias)

    def layer(input: Tensor, h0: Tensor, c0: Tensor, *_: Tensor) -> tuple[Tensor, ...]:
        output, (h, c) = module(input, (h0, c0))
        return output, h, c

    inputs = [input.requires_grad_(), h0.clone().requires_grad_(), c0.clone().requires_grad_()]
    arguments = [*inputs, module.weight, module.bias]
    forms: dict[str, Callable[..., tuple[Tensor, ...]]] = {
        "autograd": lltm.reference,
        "autograd, projected": projected_form,
        "torch op": layer,
    }
    return [_training(name, functools.partial(form, *arguments), arguments, data) for name, form in forms.items()]


def _training(name: str, forward: Callable[[], tuple[Tensor, ...]], arguments: list[Tensor], data: LltmData) -> Lane:
    import torch

    gradients = output_gradients(data)

    def call() -> tuple[Tensor, ...]:
        return torch.autograd.grad(forward(), arguments, gradients)

    def result() -> Outputs:
        return [gradient.numpy() for gradient in call()]

    return Lane(name, repeat(call), result, "gradients")


def output_gradients(data: LltmData) -> tuple[Tensor, ...]:
    """Returns gradients of output, h and c to begin with."""
    import torch

    generator = torch.Generator().manual_seed(1)
    shapes = [(data.input.shape[0], data.batch, data.hidden), (data.batch, data.hidden), (data.batch, data.hidden)]
    return tuple(torch.randn(shape, generator=generator) for shape in shapes)


def _arguments(data: LltmData) -> list[Tensor]:
    import torch

    arrays = (data.input, data.zeros, data.zeros, data.weight, data.bias)
    return [torch.from_numpy(np.ascontiguousarray(array)) for array in arrays]


def _torch(name: str, call: Callable[[], Any]) -> Lane:
    return Lane(name, inference(call), functools.partial(tensors, call), "lltm")
