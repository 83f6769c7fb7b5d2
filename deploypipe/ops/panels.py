"""Panels: the rows of an LLTM's weight in the order in which the kernels read them.

A panel holds 16 hidden units and the last one is filled up with zeros. For each column of the weight it has a
row of 48 numbers: input gate, output gate and candidate of its units.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

UNITS, GATES = 16, 3
GROUP = 4  # columns whose bytes lie side by side in an 8-bit panel


def pack(weight: Tensor) -> Tensor:
    """Packs [3H,columns] into [(H+15)/16,columns,48]."""
    columns = weight.size(1)
    gates = weight.reshape(GATES, -1, columns)
    padded = F.pad(gates, (0, 0, 0, -gates.size(1) % UNITS))
    panels = padded.reshape(GATES, -1, UNITS, columns).permute(1, 3, 0, 2)
    return panels.reshape(-1, columns, GATES * UNITS).contiguous()


def unpack(panels: Tensor, hidden: int) -> Tensor:
    """Unpacks [(H+15)/16,columns,48] into [3H,columns]."""
    count, columns = panels.shape[:2]
    gates = panels.reshape(count, columns, GATES, UNITS).permute(2, 0, 3, 1)
    return gates.reshape(GATES, count * UNITS, columns)[:, :hidden].reshape(-1, columns)


def pack_bytes(weight: Tensor) -> Tensor:
    """Packs [3H,columns], columns a multiple of 4, into [(H+15)/16,columns/4,192]."""
    panels = pack(weight)
    count, columns = panels.shape[:2]
    groups = panels.reshape(count, columns // GROUP, GROUP, GATES * UNITS).transpose(2, 3)
    return groups.reshape(count, columns // GROUP, GATES * UNITS * GROUP).contiguous()


def unpack_bytes(panels: Tensor, hidden: int) -> Tensor:
    """Unpacks [(H+15)/16,groups,192] into [3H,groups*4]."""
    count, groups = panels.shape[:2]
    columns = panels.reshape(count, groups, GATES * UNITS, GROUP).transpose(2, 3)
    return unpack(columns.reshape(count, groups * GROUP, GATES * UNITS), hidden)


def pad_columns(weight: Tensor) -> Tensor:
    """Appends columns of zeros until their number is a multiple of 4."""
    return F.pad(weight, (0, -weight.size(1) % GROUP))


def quantize_rows(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Quantizes each row to int8 with a scale of its own, max|w| / 127.

    Returns:
        int8 of the shape of `weight`, and the scales float32[rows]; a row of zeros has the scale 0.
    """
    scale = weight.abs().amax(dim=1) / 127 if weight.size(1) else weight.new_zeros(weight.size(0))
    quantized = torch.round(weight / torch.where(scale > 0, scale, 1).unsqueeze(1))
    return quantized.clamp(-127, 127).to(torch.int8), scale
