"""lltm_packed: lltm with a weight that is packed once, for inference."""

from __future__ import annotations

import torch
from torch import Tensor

from deploypipe.oplib.spec import OpSpec, Sample
from deploypipe.ops import lltm, panels


def pack(weight: Tensor, bias: Tensor) -> Tensor:
    """Packs weight[3H,H+I] and bias[3H] of lltm into panels[(H+15)/16,H+I+1,48]; the bias is the last column."""
    return panels.pack(torch.cat([weight, bias.unsqueeze(1)], dim=1))


def reference(input: Tensor, h0: Tensor, c0: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Runs the layer over a sequence.

    Args:
        input: float[T,B,I].
        h0: Hidden state before the first step, float[B,H].
        c0: Cell state before the first step, float[B,H].
        weight: float[(H+15)/16,H+I+1,48], as `pack` makes it.

    Returns:
        output[T,B,H] with the hidden state after every step, and h[B,H] and c[B,H] after the last.
    """
    rows = panels.unpack(weight, h0.size(1))
    return lltm.reference(input, h0, c0, rows[:, :-1], rows[:, -1])


def samples() -> tuple[Sample, ...]:
    """Returns the calls of lltm."""
    return tuple(_packed(sample) for sample in lltm.samples())


def _packed(sample: Sample) -> Sample:
    *data, weight, bias = sample.inputs
    return Sample(sample.name, (*data, pack(weight, bias)))


_ONNX_BODY = f"""
    zero = Constant <value_ints: ints = [0]> ()
    one = Constant <value_ints: ints = [1]> ()
    two = Constant <value_ints: ints = [2]> ()
    last = Constant <value_ints: ints = [-1]> ()
    end = Constant <value_ints: ints = [9223372036854775807]> ()
    hidden_size = Shape <start: int = 1> (h0)
    apart = Constant <value_ints: ints = [0, 0, 3, 16]> ()
    together = Constant <value_ints: ints = [0, 0, -1]> ()
    flat = Constant <value_ints: ints = [0, -1]> ()
    units = Reshape (weight, apart)
    by_column = Transpose <perm: ints = [1, 2, 0, 3]> (units)
    padded = Reshape (by_column, together)
    trimmed = Slice (padded, zero, hidden_size, two)
    columns = Reshape (trimmed, flat)
    columns_h = Slice (columns, zero, hidden_size, zero)
    columns_x = Slice (columns, hidden_size, last, zero)
    bias = Slice (columns, last, end, zero)
    weight_h = Transpose <perm: ints = [1, 0]> (columns_h)
    product = MatMul (input, columns_x)
    projected = Add (product, bias)
    {lltm.ONNX_STEPS}
"""

SPEC = OpSpec(name="lltm_packed", reference=reference, samples=samples, onnx_body=_ONNX_BODY, states=("h0", "c0"))
