"""lltm_packed: lltm with a weight that is packed once, in the layout that its kernels read."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from deploypipe.oplib.spec import OpSpec, Sample
from deploypipe.ops import lltm

_UNITS = 16


def pack(weight: Tensor, bias: Tensor) -> Tensor:
    """Packs the parameters of lltm into panels of 16 hidden units.

    Args:
        weight: float[3H,H+I], as lltm takes it.
        bias: float[3H].

    Returns:
        float[(H+15)/16,H+I+1,48]: per panel a row for each column of weight and one for the bias; a row is input
        gate, output gate and candidate of the 16 units. Units that do not exist are zero.
    """
    hidden = bias.size(0) // 3
    columns = weight.size(1) + 1
    rows = torch.cat([weight, bias.unsqueeze(1)], dim=1).view(3, hidden, columns)
    units = F.pad(rows, (0, 0, 0, -hidden % _UNITS)).view(3, -1, _UNITS, columns)
    return units.permute(1, 3, 0, 2).reshape(-1, columns, 3 * _UNITS)


def unpack(weight: Tensor, hidden: int) -> tuple[Tensor, Tensor]:
    """Returns weight and bias of lltm from their panels."""
    columns = weight.size(1)
    units = weight.reshape(weight.size(0), columns, 3, _UNITS).permute(2, 0, 3, 1)
    rows = units.reshape(3, weight.size(0) * _UNITS, columns)[:, :hidden].reshape(3 * hidden, columns)
    return rows[:, :-1], rows[:, -1]


def reference(
    input: Tensor,
    h0: Tensor,
    c0: Tensor,
    weight: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Runs lltm with a packed weight.

    Args:
        input: float[T,B,I].
        h0: Hidden state before the first step, float[B,H].
        c0: Cell state before the first step, float[B,H].
        weight: float[(H+15)/16,H+I+1,48], from `pack`.

    Returns:
        output[T,B,H], h[B,H] and c[B,H], as lltm.
    """
    return lltm.reference(input, h0, c0, *unpack(weight, h0.size(1)))


def samples() -> tuple[Sample, ...]:
    """Returns the calls of lltm with packed weights."""
    return tuple(Sample(one.name, (*one.inputs[:3], pack(*one.inputs[3:]))) for one in lltm.samples())


SPEC = OpSpec(name="lltm_packed", reference=reference, samples=samples)
