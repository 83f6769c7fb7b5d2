"""lltm: the long-long-term-memory layer, an LSTM without forget gate and with an ELU candidate."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
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
    hidden = h0.size(1)
    outputs = []
    for x in input.unbind(0):
        gates = F.linear(torch.cat([h, x], dim=1), weight, bias)
        # Slices, since ExecuTorch's verifier fixes the batch at the example's when an op returns a list.
        input_gate = torch.sigmoid(gates[:, :hidden])
        output_gate = torch.sigmoid(gates[:, hidden : 2 * hidden])
        candidate = F.elu(gates[:, 2 * hidden :])
        c = c + input_gate * candidate
        h = output_gate * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs), h, c


class _Recurrent(nn.Module):
    """Weights and initial state that the cell and the layer share."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.weight = nn.Parameter(torch.empty(3 * hidden_size, hidden_size + input_size))
        self.bias = nn.Parameter(torch.empty(3 * hidden_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws weight and bias uniformly from plus or minus `1 / sqrt(hidden_size)`."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def extra_repr(self) -> str:
        """Describes the sizes, as torch.nn.LSTM does."""
        return f"{self.input_size}, {self.hidden_size}"


class LLTMCell(_Recurrent):
    """One step of the layer, named and called as torch.nn.LSTMCell.

    Attributes:
        weight: float32[3H,H+I]; columns are `[h, x]`, rows are input gate, output gate, candidate.
        bias: float32[3H].
    """

    def forward(
        self,
        input: Tensor,
        state: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Makes one step.

        Args:
            input: float32[B,I].
            state: h and c, float32[B,H] each; zeros when left out.

        Returns:
            The new h and c, float32[B,H] each.

        Raises:
            ValueError: A shape that does not fit, from the op.
        """
        if state is None:
            zeros = input.new_zeros(input.size(0), self.hidden_size)
            state = (zeros, zeros)
        _, h, c = torch.ops.deploypipe.lltm(input.unsqueeze(0), state[0], state[1], self.weight, self.bias)
        return h, c


class LLTM(_Recurrent):
    """The layer over a sequence, named and called as torch.nn.LSTM.

    Attributes:
        weight: float32[3H,H+I]; columns are `[h, x]`, rows are input gate, output gate, candidate.
        bias: float32[3H].
    """

    def forward(
        self,
        input: Tensor,
        state: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Runs over the sequence.

        Args:
            input: float32[T,B,I].
            state: h and c before the first step, float32[B,H] each; zeros when left out.

        Returns:
            output, float32[T,B,H], and the pair of h and c after the last step, float32[B,H] each.

        Raises:
            ValueError: A shape that does not fit, from the op.
        """
        if state is None:
            zeros = input.new_zeros(input.size(1), self.hidden_size)
            state = (zeros, zeros)
        output, h, c = torch.ops.deploypipe.lltm(input, state[0], state[1], self.weight, self.bias)
        return output, (h, c)


def _setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
    ctx.save_for_backward(*inputs)


def _backward(ctx: Any, grad_output: Tensor, grad_h: Tensor, grad_c: Tensor) -> tuple[Tensor, ...]:
    input, h0, c0, weight, bias = ctx.saved_tensors
    output, _, _, gates, cells = torch.ops.deploypipe.lltm_training(input, h0, c0, weight, bias)
    grads: tuple[Tensor, ...] = torch.ops.deploypipe.lltm_backward(
        grad_output, grad_h, grad_c, input, h0, c0, weight, output, gates, cells
    )
    return grads


def samples() -> tuple[Sample, ...]:
    """Returns calls with one step, one row, odd sizes, sizes of a real model, and an empty batch."""
    generator = torch.Generator().manual_seed(2)
    sizes = {  # T, B, I, H
        "batch1": (5, 1, 4, 8),
        "step1": (1, 3, 7, 5),
        "odd": (4, 5, 3, 13),
        "model": (8, 6, 28, 128),
        "empty": (3, 0, 4, 8),
    }
    return tuple(_sample(name, size, generator) for name, size in sizes.items())


def _sample(name: str, sizes: tuple[int, int, int, int], generator: torch.Generator) -> Sample:
    steps, batch, features, hidden = sizes
    shapes = [(steps, batch, features), (batch, hidden), (batch, hidden)]
    data = [torch.randn(shape, generator=generator) for shape in shapes]
    weight = torch.randn(3 * hidden, hidden + features, generator=generator) / math.sqrt(hidden + features)
    return Sample(name, (*data, weight, torch.randn(3 * hidden, generator=generator)))


# The input projection does not depend on the state, so it is one product for all steps.
_ONNX_BODY = """
    zero = Constant <value_ints: ints = [0]> ()
    one = Constant <value_ints: ints = [1]> ()
    end = Constant <value_ints: ints = [9223372036854775807]> ()
    hidden_size = Shape <start: int = 1> (h0)
    weight_h = Slice (weight, zero, hidden_size, one)
    weight_x = Slice (weight, hidden_size, end, one)
    weight_x_t = Transpose <perm: ints = [1, 0]> (weight_x)
    product = MatMul (input, weight_x_t)
    projected = Add (product, bias)
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

SPEC = OpSpec(
    name="lltm",
    reference=reference,
    samples=samples,
    gradient=Gradient(_backward, _setup_context),
    onnx_body=_ONNX_BODY,
)
