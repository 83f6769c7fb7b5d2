"""HashSum, the layer that follows CWS: one learned row per hash, looked up by its code, and summed."""

from __future__ import annotations

import copy
import math
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class _Bytes(nn.Module):
    """The rows of a table as int8; the scale is applied to their sum, which is exact in float.

    Attributes:
        weight: int8[rows,out].
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Buffer(weight)

    def forward(self, row: Tensor) -> Tensor:
        return F.embedding(row, self.weight).float()


class _Sum(nn.Module):
    """What all forms share: codes of hashes, the sum of their rows, and the bias."""

    table: nn.Module
    bias: nn.Parameter

    def __init__(self, num_hashes: int, bits: int, t_bits: int) -> None:
        super().__init__()
        self.num_hashes, self.bits, self.t_bits = num_hashes, bits, t_bits
        self.index_codes, self.t_codes = 2**bits, 2**t_bits
        self.scale: Tensor | None = None  # of a table of bytes

    def _positions(self, index: Tensor, t: Tensor) -> Tensor:
        """Returns where the code of every hash stands among the codes of all hashes, int64[B,k]."""
        code = torch.remainder(index, self.index_codes)
        if self.t_codes > 1:
            code = code * self.t_codes + torch.remainder(t, self.t_codes)
        return code + torch.arange(self.num_hashes, device=index.device) * (self.index_codes * self.t_codes)

    def _summed(self, row: Tensor) -> Tensor:
        total: Tensor = self.table(row).sum(dim=1)
        if self.scale is not None:
            total = total * self.scale
        return total + self.bias

    def quantized(self) -> Self:
        """Returns the form with a table of int8 and one scale: rows are narrow, a scale for each would weigh more."""
        form = copy.deepcopy(self)
        weight = self.table.weight.detach()
        scale = weight.abs().max().clamp(min=torch.finfo(torch.float32).tiny) / 127
        form.table = _Bytes(torch.round(weight / scale).to(torch.int8))
        form.scale = nn.Buffer(scale.clone())
        return form

    def extra_repr(self) -> str:
        """Describes the codes."""
        return f"num_hashes={self.num_hashes}, bits={self.bits}, t_bits={self.t_bits}"
