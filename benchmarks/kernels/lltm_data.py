"""Inputs and weights of the recurrent layers, in the layouts of the ops and of the peers."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from deploypipe.ops import lltm_int8, lltm_packed

Array = np.ndarray[Any, np.dtype[Any]]

GATES = 3


@dataclass(frozen=True)
class LltmData:
    """A batch of sequences and a layer.

    Attributes:
        input: float32[T,B,I].
        weight: float32[3H,H+I]; rows are input gate, output gate, candidate, columns are [h, x].
        bias: float32[3H].
    """

    input: Array
    weight: Array
    bias: Array

    @property
    def batch(self) -> int:
        """Sequences."""
        return int(self.input.shape[1])

    @property
    def hidden(self) -> int:
        """Hidden units."""
        return int(self.bias.size) // GATES

    @property
    def operations(self) -> float:
        """Multiplications and additions of the products of a forward pass."""
        return 2.0 * float(self.input.shape[0] * self.batch * self.weight.size)

    @functools.cached_property
    def zeros(self) -> Array:
        """A state, float32[B,H]."""
        return np.zeros((self.batch, self.hidden), np.float32)

    def packed(self) -> Array:
        """Returns the weight of `lltm_packed`."""
        return np.asarray(lltm_packed.pack(*self._tensors()))

    def quantized(self) -> list[Array]:
        """Returns weight, sums and scales of `lltm_int8`."""
        return [np.asarray(part) for part in lltm_int8.quantize(*self._tensors())]

    def _tensors(self) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.from_numpy(self.weight), torch.from_numpy(self.bias)


def draw(batch: int, hidden: int, steps: int = 28, features: int = 28, seed: int = 0) -> LltmData:
    """Draws an input from N(0,1), and weights as the layers of torch are initialised."""
    generator = np.random.default_rng(seed)
    bound = 1 / np.sqrt(hidden)

    def uniform(*shape: int) -> Array:
        return np.asarray(generator.uniform(-bound, bound, shape), np.float32)

    data = generator.standard_normal((steps, batch, features), np.float32)
    return LltmData(data, uniform(GATES * hidden, hidden + features), uniform(GATES * hidden))
