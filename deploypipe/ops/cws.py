"""cws: consistent weighted sampling, hashes whose collision probability is the min-max kernel."""

from __future__ import annotations

import torch
from torch import Tensor

from deploypipe.oplib.spec import OpSpec, Sample
from deploypipe.ops import cws_layouts
from deploypipe.ops.cws_tables import tables
from deploypipe.parity import UNEQUAL_SHARE


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
    return hashes_of(input, cws_layouts.parameters(r, log_c, beta))


def hashes_of(input: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
    """Does the same from the parameters of the hashes, [4,k,D], as `cws_layouts.parameters` returns them."""
    positive = input > 0
    # The logarithm of a zero is never used, but an infinity would make NaNs on its way.
    log_u = torch.where(positive, input, 1.0).log().unsqueeze(1)
    # Slices keep an axis of size 1, since ExecuTorch refuses to broadcast [1,1,D] with [k,D].
    ri, beta, s, r = (parameters[place : place + 1] for place in range(4))
    t = torch.floor(log_u * ri + beta)
    a = s - r * t
    index = torch.where(positive.unsqueeze(1), a, torch.inf).argmin(dim=2)
    t = t.gather(2, index.unsqueeze(2)).squeeze(2)
    bad = torch.logical_not((input >= 0) & (input < torch.inf)).any(dim=1, keepdim=True)
    usable = positive.any(dim=1, keepdim=True) & torch.logical_not(bad)
    return torch.where(usable, index, -1), torch.where(usable, t, 0.0).to(torch.int64)


def samples() -> tuple[Sample, ...]:
    """Returns calls with one row, odd sizes, rows that must give -1, and an empty batch."""
    return tuple(Sample(name, (data, *tables_of(data, hashes))) for name, data, hashes in cases())


def cases() -> list[tuple[str, Tensor, int]]:
    """Returns name, rows and number of hashes of the samples of every op of the family."""
    sizes = {"batch1": (1, 16, 8), "odd": (5, 37, 13), "model": (6, 64, 256), "empty": (0, 5, 4)}  # B, D, k
    generator = torch.Generator().manual_seed(3)
    drawn = [(name, _rows(rows, features, generator), hashes) for name, (rows, features, hashes) in sizes.items()]
    unusable = _rows(6, 9, generator)
    unusable[1] = 0
    unusable[2, 3], unusable[3, 3], unusable[4, 3] = float("nan"), -1.0, float("inf")
    return [*drawn, ("unusable_rows", unusable, 7)]


def tables_of(data: Tensor, hashes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Returns r, log c and beta for the samples, float32[k,D] each."""
    r, log_c, beta = (torch.from_numpy(table).float() for table in tables(data.size(1), hashes, seed=4))
    return r, log_c, beta


def _rows(rows: int, features: int, generator: torch.Generator) -> Tensor:
    data = torch.rand(rows, features, generator=generator)
    return torch.where(torch.rand(data.shape, generator=generator) < 0.3, 0.0, data)


SPEC = OpSpec(
    name="cws",
    reference=reference,
    samples=samples,
    metric=UNEQUAL_SHARE,
    float_inputs=("input", "r", "log_c", "beta"),
    finite=True,
)
