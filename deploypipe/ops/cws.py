"""cws: consistent weighted sampling, hashes whose collision probability is the min-max kernel."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor, nn

from deploypipe.errors import DeployError
from deploypipe.oplib.spec import OpSpec, Sample
from deploypipe.ops.cws_tables import tables
from deploypipe.parity import UNEQUAL_SHARE

_jit: Any = torch.jit


def reference(
    input: Tensor,
    r: Tensor,
    log_c: Tensor,
    beta: Tensor,
) -> tuple[Tensor, Tensor]:
    """Hashes every row with every hash function, in log space.

    Args:
        input: Nonnegative finite weights, float32[B,D].
        r: float32[k,D], Gamma(2,1).
        log_c: float32[k,D], logarithm of Gamma(2,1).
        beta: float32[k,D], U(0,1).

    Returns:
        index int64[B,k], the feature that wins (the lowest on a tie), and t int64[B,k], its level. A row
        that is all zero, or holds a negative, infinite or NaN value, gives -1 and 0.
    """
    positive = input > 0
    # The logarithm of a zero is never used, but an infinity would make NaNs on its way.
    log_u = torch.where(positive, input, 1.0).log().unsqueeze(1)
    # Of equal rank, since ExecuTorch refuses to broadcast [1,1,D] with [k,D].
    r, log_c, beta = r.unsqueeze(0), log_c.unsqueeze(0), beta.unsqueeze(0)
    t = torch.floor(log_u / r + beta)
    a = log_c - r * ((t - beta) + 1)
    index = torch.where(positive.unsqueeze(1), a, torch.inf).argmin(dim=2)
    t = t.gather(2, index.unsqueeze(2)).squeeze(2)
    bad = torch.logical_not((input >= 0) & (input < torch.inf)).any(dim=1, keepdim=True)
    usable = positive.any(dim=1, keepdim=True) & torch.logical_not(bad)
    return torch.where(usable, index, -1), torch.where(usable, t, 0.0).to(torch.int64)


class CWS(nn.Module):
    """A layer of hashes for nonnegative data; it has tables but nothing to train.

    Attributes:
        in_features: D, the length of a row.
        num_hashes: k, hashes per row.
        r: float32[k,D], Gamma(2,1).
        log_c: float32[k,D], logarithm of Gamma(2,1).
        beta: float32[k,D], U(0,1).
    """

    def __init__(self, in_features: int, num_hashes: int, seed: int = 0) -> None:
        super().__init__()
        self._hold(*(torch.from_numpy(table) for table in tables(in_features, num_hashes, seed)))

    @classmethod
    def from_tables(cls, r: Tensor, log_c: Tensor, beta: Tensor) -> Self:
        """Makes the layer from given tables, [k,D] each, of any float dtype; they are kept as float32.

        Raises:
            DeployError: The tables are not of one shape [k,D], or r is not positive.
        """
        if r.dim() != 2 or r.shape != log_c.shape or r.shape != beta.shape:
            shapes = ", ".join(str(list(table.shape)) for table in (r, log_c, beta))
            raise DeployError(f"The CWS tables are of shapes {shapes}", "Give three tables of one shape [k,D].")
        if not bool((r > 0).all()):
            raise DeployError("The CWS table r has values that are not positive", "Draw r from Gamma(2,1).")
        module = cls.__new__(cls)
        nn.Module.__init__(module)
        module._hold(r, log_c, beta)
        return module

    def _hold(self, r: Tensor, log_c: Tensor, beta: Tensor) -> None:
        self.num_hashes, self.in_features = r.shape
        self.r, self.log_c, self.beta = (_buffer(table) for table in (r, log_c, beta))

    def forward(self, input: Tensor) -> tuple[Tensor, Tensor]:
        """Hashes the rows.

        Args:
            input: Nonnegative finite weights, float32[B,D].

        Returns:
            index int64[B,k] and t int64[B,k]; -1 and 0 for an all-zero row.

        Raises:
            DeployError: A value is negative, infinite or NaN; in eager mode only, an exported model gives
                -1 and 0 for that row.
            ValueError: A shape that does not fit, from the op.
        """
        if not _jit.is_scripting():
            _refuse_bad_values(input)
        index, t = torch.ops.deploypipe.cws(input, self.r, self.log_c, self.beta)
        return index, t

    def extra_repr(self) -> str:
        """Describes the sizes."""
        return f"in_features={self.in_features}, num_hashes={self.num_hashes}"


def _buffer(table: Tensor) -> nn.Buffer:
    return nn.Buffer(table.to(torch.float32, copy=True).contiguous())


def split_signs(x: Tensor) -> Tensor:
    """Makes signed data fit for CWS: every value becomes a pair, its positive and its negative part.

    Args:
        x: float[...,D].

    Returns:
        Nonnegative float[...,2D], interleaved: value j is at 2j when positive and at 2j+1 when negative.
    """
    return torch.stack([x.clamp(min=0), x.clamp(max=0).abs()], dim=-1).flatten(-2)


def _refuse_bad_values(data: Tensor) -> None:
    if torch.compiler.is_compiling() or _jit.is_tracing():
        return
    if not bool(((data >= 0) & (data < torch.inf)).all()):
        raise DeployError(
            "The input of CWS has a value that is negative, infinite or NaN",
            "Give nonnegative finite data; deploypipe.ops.split_signs makes it from signed data.",
        )


def samples() -> tuple[Sample, ...]:
    """Returns calls with one row, odd sizes, rows that must give -1, and an empty batch."""
    sizes = {"batch1": (1, 16, 8), "odd": (5, 37, 13), "model": (6, 64, 256), "empty": (0, 5, 4)}  # B, D, k
    generator = torch.Generator().manual_seed(3)
    drawn = tuple(Sample(name, _arguments(size, generator)) for name, size in sizes.items())
    return (*drawn, _unusable_rows(generator))


def _arguments(size: tuple[int, int, int], generator: torch.Generator) -> tuple[Tensor, ...]:
    batch, features, hashes = size
    data = torch.rand(batch, features, generator=generator)
    data = torch.where(torch.rand(data.shape, generator=generator) < 0.3, 0.0, data)
    return (data, *(torch.from_numpy(table).float() for table in tables(features, hashes, seed=4)))


def _unusable_rows(generator: torch.Generator) -> Sample:
    data, *rest = _arguments((6, 9, 7), generator)
    data[1] = 0
    data[2, 3], data[3, 3], data[4, 3] = float("nan"), -1.0, float("inf")
    return Sample("unusable_rows", (data, *rest))


SPEC = OpSpec(
    name="cws",
    reference=reference,
    samples=samples,
    metric=UNEQUAL_SHARE,
    float_inputs=("input", "r", "log_c", "beta"),
    finite=True,
)
