"""HashSum, the layer after CWS: every hash looks a learned row up by its code, and the rows are summed."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class _Sum(nn.Module):
    """The codes of hashes, and the sum of what they look up; a form says which row belongs to a code."""

    table: nn.Embedding  # in a quantized model what stands in its place, called alike
    offset: Tensor

    def __init__(self, num_hashes: int, bits: int, t_bits: int, table: nn.Embedding, out_features: int) -> None:
        super().__init__()
        self.num_hashes, self.bits, self.t_bits = num_hashes, bits, t_bits
        self.index_codes, self.t_codes = 2**bits, 2**t_bits
        self.table = table
        self.bias = nn.Parameter(torch.zeros(out_features))
        self.register_buffer("offset", torch.arange(num_hashes) * (self.index_codes * self.t_codes))

    def positions(self, index: Tensor, t: Tensor) -> Tensor:
        """Returns where each code stands among the codes of all hashes: int64[B,k] of index and t int64[B,k]."""
        code = torch.remainder(index, self.index_codes)
        if self.t_codes > 1:
            code = code * self.t_codes + torch.remainder(t, self.t_codes)
        return code + self.offset

    def _summed(self, row: Tensor) -> Tensor:
        total: Tensor = self.table(row).sum(dim=1) + self.bias
        return total

    def extra_repr(self) -> str:
        """Describes the codes."""
        return f"num_hashes={self.num_hashes}, bits={self.bits}, t_bits={self.t_bits}"


class HashSum(_Sum):
    """Sum over k hashes of one learned row per hash: a linear layer on their one-hot codes.

    It is an embedding and a sum, since EmbeddingBag does not load in two of the runtimes.

    Args:
        num_hashes: k.
        bits: Low bits of the index that make up a code.
        t_bits: Low bits of t that are appended to it.
        out_features: Width of a row.
    """

    def __init__(self, num_hashes: int, bits: int, t_bits: int, out_features: int) -> None:
        # The last row stands for "no sample": it is zero and stays zero.
        empty = num_hashes * 2 ** (bits + t_bits)
        table = nn.Embedding(empty + 1, out_features, padding_idx=empty)
        super().__init__(num_hashes, bits, t_bits, table, out_features)
        self.empty = empty
        nn.init.normal_(table.weight[:-1], std=1 / math.sqrt(num_hashes))

    def forward(self, index: Tensor, t: Tensor) -> Tensor:
        """Takes index and t int64[B,k], returns float32[B,out_features]; index -1 adds nothing."""
        return self._summed(self.positions(index, t).masked_fill(index < 0, self.empty))


class ReachedHashSum(_Sum):
    """A HashSum without the rows of codes that never come: they add nothing.

    Attributes:
        table: float32[rows,out_features]; row 0 is zero and stays for all codes that never come.
        slots: uint8[k*codes], or int16 where a hash has more than 255 rows: 0, or which of its hash's rows it is.
        before: int64[k], the number of rows that belong to the hashes before.
    """

    slots: Tensor
    before: Tensor

    def __init__(self, layer: HashSum, reached: Tensor) -> None:
        """Takes over the rows of a layer.

        Args:
            layer: Is not changed.
            reached: bool[k*codes], the codes that come.
        """
        rows = layer.table.weight.detach()
        kept = torch.cat([rows.new_zeros(1, rows.size(1)), rows[:-1][reached]])
        table = nn.Embedding.from_pretrained(kept, freeze=False, padding_idx=0)
        super().__init__(layer.num_hashes, layer.bits, layer.t_bits, table, rows.size(1))
        self.bias = nn.Parameter(layer.bias.detach().clone())
        of_hash = reached.reshape(layer.num_hashes, -1)
        slots = (of_hash.cumsum(dim=1) * of_hash).flatten()
        self.register_buffer("slots", slots.to(torch.uint8 if int(slots.max()) < 256 else torch.int16))
        counts = of_hash.sum(dim=1)
        self.register_buffer("before", counts.cumsum(dim=0) - counts)
        self.train(layer.training)

    def forward(self, index: Tensor, t: Tensor) -> Tensor:
        """Takes index and t int64[B,k], returns float32[B,out_features]; index -1 adds nothing."""
        position = self.positions(index, t).masked_fill(index < 0, 0)
        slot = F.embedding(position, self.slots.unsqueeze(1)).squeeze(2).to(torch.int64)
        nothing = torch.logical_or(slot == 0, index < 0)
        return self._summed((slot + self.before).masked_fill(nothing, 0))
