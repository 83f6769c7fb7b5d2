"""What is put in the place of layers before the export of an 8-bit or 4-bit form, whatever the runtime.

These are layers that quantizers of graphs do not know: custom ops with 8-bit weights, and tables that are looked up.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from deploypipe.runtimes.protocol import Form

# Numbers in a row of a table, below which its rows share one scale.
NARROW = 48
LEVELS = 127


class QuantizedEmbedding(nn.Module):
    """A lookup in a table of bytes.

    Args:
        weight: float32[rows,columns].

    Attributes:
        weight: int8[rows,columns].
        scale: float32[rows,1], or float32[1,1] where rows are narrow.
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        narrow = weight.size(1) < NARROW
        largest = weight.abs().amax() if narrow else weight.abs().amax(dim=1, keepdim=True)
        scale = (largest / LEVELS).clamp(min=torch.finfo(weight.dtype).tiny).reshape(-1, 1)
        self.weight = nn.Buffer(torch.round(weight / scale).to(torch.int8))
        self.scale = nn.Buffer(scale)
        self.per_row = not narrow

    def forward(self, input: Tensor) -> Tensor:
        """Looks rows up: int64[...] to float32[...,columns]."""
        rows = nn.functional.embedding(input, self.weight).to(self.scale.dtype)
        scale = nn.functional.embedding(input, self.scale) if self.per_row else self.scale.squeeze()
        return rows * scale


def quantized_forms(module: nn.Module, form: Form) -> nn.Module:
    """Returns a copy of a model with the quantized form of each layer that has one; others stay.

    A layer has one when it has a method `quantized()`, which returns a module to be called alike, or when it is a
    plain `nn.Embedding`. The layers that the form keeps float stay as they are, and so does every layer of a form
    that is not of whole numbers.
    """
    if not form.precision.startswith("int"):
        return module
    return replaced(module, form, quantized_form)


def quantized_form(layer: nn.Module) -> nn.Module | None:
    """Returns the quantized form of a layer, or None where it has none."""
    make = getattr(layer, "quantized", None)
    if callable(make):
        form: nn.Module = make()
        return form
    if type(layer) is nn.Embedding and layer.max_norm is None:
        return QuantizedEmbedding(layer.weight.detach())
    return None


def replaced(module: nn.Module, form: Form, make: Callable[[nn.Module], nn.Module | None]) -> nn.Module:
    """Returns a copy of a model in which other modules stand in the place of layers that may be other than float.

    Args:
        module: The model.
        form: Its `kept_float` layers, and all within them, stay.
        make: Returns what to put in the place of a layer, or None to leave it and look at its parts.
    """
    memo: dict[int, Any] = {}

    def visit(part: nn.Module, name: str) -> None:
        if name in form.kept_float or id(part) in memo:
            return
        if (other := make(part)) is not None:
            memo[id(part)] = other.train(part.training)
            return
        for child, inner in part.named_children():
            visit(inner, f"{name}.{child}" if name else child)

    with torch.no_grad():
        visit(module, "")
    return copy.deepcopy(module, memo)
