"""The modules of the LLTM: a cell and a layer, each to train, packed for inference, and with 8-bit weights."""

from __future__ import annotations

import math
from typing import Any, Self

import torch
from torch import Tensor, nn

from deploypipe.ops import lltm_int8, lltm_packed, panels

_jit: Any = torch.jit


class _Base(nn.Module):
    """The sizes, which every form has; `_run` calls the op of the form."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size

    def extra_repr(self) -> str:
        """Describes the sizes, as torch.nn.LSTM does."""
        return f"{self.input_size}, {self.hidden_size}"

    def _run(self, input: Tensor, h0: Tensor, c0: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        raise RuntimeError("a form of the LLTM says which op it calls")


class _Cell(_Base):
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
        _, h, c = self._run(input.unsqueeze(0), state[0], state[1])
        return h, c


class _Layer(_Base):
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
        output, h, c = self._run(input, state[0], state[1])
        return output, (h, c)


class _Trained(_Base):
    """Weights that can be trained."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.weight = nn.Parameter(torch.empty(3 * hidden_size, hidden_size + input_size))
        self.bias = nn.Parameter(torch.empty(3 * hidden_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws weight and bias uniformly from plus or minus `1 / sqrt(hidden_size)`."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def _run(self, input: Tensor, h0: Tensor, c0: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        output, h, c = torch.ops.deploypipe.lltm(input, h0, c0, self.weight, self.bias)
        return output, h, c

    def _converted(self, kind: Any) -> Any:
        with torch.no_grad():
            return kind.from_weight(self.weight.detach(), self.bias.detach()).train(self.training)


class _Packed(_Base):
    """The weight in panels, packed when the module is made.

    Attributes:
        panels: float32[(H+15)/16,H+I+1,48].
    """

    __jit_unused_properties__ = ("weight", "bias")

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        weight = torch.zeros(3 * hidden_size, hidden_size + input_size)
        self.panels = nn.Buffer(lltm_packed.pack(weight, torch.zeros(3 * hidden_size)))

    @classmethod
    def from_weight(cls, weight: Tensor, bias: Tensor) -> Self:
        """Packs weight[3H,H+I] and bias[3H] of an LLTM."""
        made = cls(*_sizes(weight))
        made.panels = nn.Buffer(lltm_packed.pack(weight, bias))
        return made

    @property
    def weight(self) -> Tensor:
        """The weight[3H,H+I] that was packed, for models that read it; unpacked anew each time."""
        return panels.unpack(self.panels, self.hidden_size)[:, :-1]

    @property
    def bias(self) -> Tensor:
        """The bias[3H] that was packed."""
        return panels.unpack(self.panels, self.hidden_size)[:, -1]

    def _run(self, input: Tensor, h0: Tensor, c0: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        output, h, c = torch.ops.deploypipe.lltm_packed(input, h0, c0, self.panels)
        return output, h, c


class _Quantized(_Base):
    """8-bit weights with scales.

    Attributes:
        panels: int8[(H+15)/16,(H+3)/4+(I+3)/4,192].
        sums: int32[(H+15)/16,2,48].
        scales: float32[(H+15)/16,3,48].
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self._hold(torch.zeros(3 * hidden_size, hidden_size + input_size), torch.zeros(3 * hidden_size))

    @classmethod
    def from_weight(cls, weight: Tensor, bias: Tensor) -> Self:
        """Quantizes weight[3H,H+I] and bias[3H] of an LLTM."""
        made = cls(*_sizes(weight))
        made._hold(weight, bias)
        return made

    def _hold(self, weight: Tensor, bias: Tensor) -> None:
        self.panels, self.sums, self.scales = map(nn.Buffer, lltm_int8.quantize(weight, bias))

    def _run(self, input: Tensor, h0: Tensor, c0: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if not _jit.is_scripting():
            _check_sizes(input, h0, self.input_size, self.hidden_size)
        output, h, c = torch.ops.deploypipe.lltm_int8(input, h0, c0, self.panels, self.sums, self.scales)
        return output, h, c


def _check_sizes(input: Tensor, h0: Tensor, inputs: int, hidden: int) -> None:
    """Refuses sizes that the op cannot tell from the right ones, since its panels are filled up."""
    if torch.compiler.is_compiling() or _jit.is_tracing():
        return
    if input.size(-1) != inputs or h0.size(-1) != hidden:
        raise ValueError(
            f"lltm_int8: input and state have {input.size(-1)} and {h0.size(-1)} values a row, "
            f"and must have {inputs} and {hidden}"
        )


def _sizes(weight: Tensor) -> tuple[int, int]:
    """Returns I and H of weight[3H,H+I]."""
    hidden = weight.size(0) // panels.GATES
    return weight.size(1) - hidden, hidden


class PackedLLTMCell(_Packed, _Cell):
    """What an LLTMCell is deployed as: one step, for inference."""


class PackedLLTM(_Packed, _Layer):
    """What an LLTM is deployed as: the layer over a sequence, for inference."""


class QuantizedLLTMCell(_Quantized, _Cell):
    """One step with 8-bit weights, for inference."""


class QuantizedLLTM(_Quantized, _Layer):
    """The layer over a sequence with 8-bit weights, for inference."""


class LLTMCell(_Trained, _Cell):
    """One step of the layer, named and called as torch.nn.LSTMCell.

    Attributes:
        weight: float32[3H,H+I]; columns are `[h, x]`, rows are input gate, output gate, candidate.
        bias: float32[3H].
    """

    def deployed(self) -> nn.Module:
        """Returns the packed form; a subclass with a step of its own stays as it is."""
        form: nn.Module = self._converted(PackedLLTMCell) if _is_plain(self, LLTMCell) else self
        return form

    def quantized(self) -> QuantizedLLTMCell:
        """Returns the form with 8-bit weights."""
        form: QuantizedLLTMCell = self._converted(QuantizedLLTMCell)
        return form


class LLTM(_Trained, _Layer):
    """The layer over a sequence, named and called as torch.nn.LSTM.

    Attributes:
        weight: float32[3H,H+I]; columns are `[h, x]`, rows are input gate, output gate, candidate.
        bias: float32[3H].
    """

    def deployed(self) -> nn.Module:
        """Returns the packed form; a subclass with a forward of its own stays as it is."""
        form: nn.Module = self._converted(PackedLLTM) if _is_plain(self, LLTM) else self
        return form

    def quantized(self) -> QuantizedLLTM:
        """Returns the form with 8-bit weights."""
        form: QuantizedLLTM = self._converted(QuantizedLLTM)
        return form


def _is_plain(module: _Base, kind: type[_Base]) -> bool:
    own = type(module)
    return own.forward is kind.forward and own._run is kind._run
