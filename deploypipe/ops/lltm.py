"""lltm: the long-long-term-memory layer, an LSTM without forget gate and with an ELU candidate."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from deploypipe.oplib.spec import Gradient, OpSpec, Sample


def reference(
    input: Tensor,
    h0: Tensor,
    c0: Tensor,
    weight: Tensor,
    bias: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Runs the layer over a sequence.

    Args:
        input: float[T,B,I].
        h0: Hidden state before the first step, float[B,H].
        c0: Cell state before the first step, float[B,H].
        weight: float[3H,H+I]; columns are `[h, x]`, rows are input gate, output gate, candidate.
        bias: float[3H].

    Returns:
        output[T,B,H] with the hidden state after every step, and h[B,H] and c[B,H] after the last.
    """
    h, c = h0, c0
    outputs = []
    for x in input.unbind(0):
        h, c = step(F.linear(torch.cat([h, x], dim=1), weight, bias), c)
        outputs.append(h)
    return torch.stack(outputs), h, c


def step(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Takes the gates before their activation, float[B,3H], and the cell state; returns the new h and c."""
    hidden = c.size(1)
    # Slices, since ExecuTorch's verifier fixes the batch at the example's when an op returns a list.
    input_gate = torch.sigmoid(gates[:, :hidden])
    output_gate = torch.sigmoid(gates[:, hidden : 2 * hidden])
    candidate = F.elu(gates[:, 2 * hidden :])
    c = c + input_gate * candidate
    return output_gate * torch.tanh(c), c


def _setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
    input, h0, c0, weight, _ = inputs
    states, _, _, gates, cells = output
    ctx.mark_non_differentiable(gates, cells)
    # Else zeros are written for the gates and cells, which are larger than all the rest.
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(input, h0, c0, weight, states, gates, cells)


def _backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor, ...]:
    # The gates and cells, which are the last two, have none.
    _, h0, c0, _, states, _, _ = ctx.saved_tensors
    pairs = zip(gradients[:3], (states, h0, c0), strict=True)
    given = (torch.zeros_like(like) if gradient is None else gradient for gradient, like in pairs)
    grads: tuple[Tensor, ...] = torch.ops.deploypipe.lltm_backward(*given, *ctx.saved_tensors)
    return grads


SIZES = {  # T, B, I, H
    "batch1": (5, 1, 4, 8),
    "step1": (1, 3, 7, 5),
    "odd": (4, 5, 3, 13),
    "model": (8, 6, 28, 128),
    "empty": (3, 0, 4, 8),
}


def samples() -> tuple[Sample, ...]:
    """Returns calls with one step, one row, odd sizes, sizes of a real model, and an empty batch."""
    generator = torch.Generator().manual_seed(2)
    return tuple(sample(name, size, generator) for name, size in SIZES.items())


def sample(name: str, sizes: tuple[int, int, int, int], generator: torch.Generator) -> Sample:
    """Returns a call with T, B, I and H as given."""
    steps, batch, features, hidden = sizes
    shapes = [(steps, batch, features), (batch, hidden), (batch, hidden)]
    data = [torch.randn(shape, generator=generator) for shape in shapes]
    weight = torch.randn(3 * hidden, hidden + features, generator=generator) / math.sqrt(hidden + features)
    return Sample(name, (*data, weight, torch.randn(3 * hidden, generator=generator)))


# One step for every row of `projected`, the input's share of the gates; `weight_h` is [3H,H].
ONNX_STEPS = """
    h, c, output = Scan <num_scan_inputs: int = 1, body: graph = step (
        float[B, H] h_old, float[B, H] c_old, float[B, G] x
      ) => (float[B, H] h_new, float[B, H] c_new, float[B, H] h_out) {
        gates = Gemm <transB: int = 1> (h_old, weight_h, x)
        i_in, o_in, g_in = Split <axis: int = 1, num_outputs: int = 3> (gates)
        i = Sigmoid (i_in)
        o = Sigmoid (o_in)
        g = Elu (g_in)
        ig = Mul (i, g)
        c_new = Add (c_old, ig)
        squashed = Tanh (c_new)
        h_new = Mul (o, squashed)
        h_out = Identity (h_new)
      }> (h0, c0, projected)
"""

# The input projection does not depend on the state, so it is one product for all steps.
_ONNX_BODY = f"""
    zero = Constant <value_ints: ints = [0]> ()
    one = Constant <value_ints: ints = [1]> ()
    end = Constant <value_ints: ints = [9223372036854775807]> ()
    hidden_size = Shape <start: int = 1> (h0)
    weight_h = Slice (weight, zero, hidden_size, one)
    weight_x = Slice (weight, hidden_size, end, one)
    weight_x_t = Transpose <perm: ints = [1, 0]> (weight_x)
    product = MatMul (input, weight_x_t)
    projected = Add (product, bias)
    {ONNX_STEPS}
"""

SPEC = OpSpec(
    name="lltm",
    reference=reference,
    samples=samples,
    gradient=Gradient(_backward, _setup_context, training="lltm_training"),
    onnx_body=_ONNX_BODY,
    states=("h0", "c0"),
)
