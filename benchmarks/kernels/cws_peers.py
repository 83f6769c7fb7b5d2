"""What else computes consistent weighted sampling on a CPU: torch, torch.compile, numpy, datasketch.

Where a peer can be written in several ways, each way is a lane, and the fastest counts.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.kernels.compiled import compiled
from benchmarks.kernels.cws_data import Array, CwsData
from benchmarks.kernels.own import inference, tensors
from benchmarks.kernels.timing import Lane, Outputs, repeat

if TYPE_CHECKING:
    from torch import Tensor

Hashes = tuple[Array, Array]

# Another logarithm may decide one hash in 100,000 in another way.
UNEQUAL = 1e-3
_BLOCK = 32


def log_form(input: Tensor, ri: Tensor, beta: Tensor, s: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
    """Hashes rows in log space, without a division; all hashes of all rows at once."""
    t = (input.log().unsqueeze(1) * ri + beta).floor()
    index = (s - r * t).argmin(dim=2)
    return index, t.gather(2, index.unsqueeze(2)).squeeze(2).long()


def log_form_twice(input: Tensor, ri: Tensor, beta: Tensor, s: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
    """The same, but t is computed again where a feature has won, so that a compiler need not store all of them."""
    import torch

    log_u = input.log()
    index = (s - r * (log_u.unsqueeze(1) * ri + beta).floor()).argmin(dim=2)
    each = torch.arange(r.size(0))
    t = (log_u.gather(1, index) * ri[each, index] + beta[each, index]).floor()
    return index, t.long()


def literal_form(input: Tensor, r: Tensor, c: Tensor, beta: Tensor) -> tuple[Tensor, Tensor]:
    """Hashes rows as the definition reads: y = exp(r (t - beta)), a = c / (y exp(r))."""
    t = (input.log().unsqueeze(1) / r + beta).floor()
    index = (c / ((r * (t - beta)).exp() * r.exp())).argmin(dim=2)
    return index, t.gather(2, index.unsqueeze(2)).squeeze(2).long()


def torch_lanes(data: CwsData) -> list[Lane]:
    """Returns torch in eager mode, by the log form and by the definition."""
    import torch

    rows, parts = torch.from_numpy(data.rows), _tensors(data.parts)
    literal = _tensors((data.r, np.exp(data.log_c), data.beta))
    return [
        _torch("torch eager", functools.partial(log_form, rows, *parts)),
        _torch("torch eager literal", functools.partial(literal_form, rows, *literal)),
    ]


def compiled_lanes(data: CwsData) -> list[Lane]:
    """Returns torch.compile of both log forms, compiled."""
    import torch

    rows, parts = torch.from_numpy(data.rows), _tensors(data.parts)
    lanes = []
    for name, form in (("torch.compile: at once", log_form), ("torch.compile: t again", log_form_twice)):
        lane = _torch(name, functools.partial(compiled(form), rows, *parts))
        lane.run(2)
        lanes.append(lane)
    return lanes


def numpy_lanes(data: CwsData) -> list[Lane]:
    """Returns numpy on dense rows: all features, only those that are not zero, and in blocks that fit the cache."""
    forms = {"all": _numpy_row, "nonzeros": _numpy_nonzeros, "blocks": _numpy_blocks}
    return [
        rows_lane(f"numpy: {name}", functools.partial(form, parts=data.parts), data) for name, form in forms.items()
    ]


def _numpy_row(row: Array, parts: Sequence[Array]) -> Hashes:
    with np.errstate(divide="ignore"):
        log_u = np.log(row)
    return _hashes(log_u, parts)


def _hashes(log_u: Array, parts: Sequence[Array]) -> Hashes:
    ri, beta, s, r = parts
    t = log_u * ri
    t += beta
    np.floor(t, out=t)
    a = r * t
    np.subtract(s, a, out=a)
    index = a.argmin(axis=1)
    return index, t[np.arange(index.size), index]


def _numpy_nonzeros(row: Array, parts: Sequence[Array]) -> Hashes:
    at = np.flatnonzero(row)
    index, t = _hashes(np.log(row[at]), [part.take(at, axis=1) for part in parts])
    return at[index], t


def _numpy_blocks(row: Array, parts: Sequence[Array]) -> Hashes:
    with np.errstate(divide="ignore"):
        log_u = np.log(row)
    starts = range(0, parts[0].shape[0], _BLOCK)
    blocks = [_hashes(log_u, [part[start : start + _BLOCK] for part in parts]) for start in starts]
    return np.concatenate([block[0] for block in blocks]), np.concatenate([block[1] for block in blocks])


def datasketch_lanes(data: CwsData, one_by_one: bool = True) -> list[Lane]:
    """Returns datasketch with our tables: `minhash` for each row, and `minhash_many`."""
    import scipy.sparse
    from datasketch import WeightedMinHashGenerator

    generator = WeightedMinHashGenerator(data.rows.shape[1], sample_size=1)
    generator.sample_size = data.hashes
    generator.rs, generator.ln_cs, generator.betas = data.r, data.log_c, data.beta
    sparse = scipy.sparse.csr_matrix(data.rows)
    calls: dict[str, Callable[[], list[Any]]] = {"minhash_many": lambda: generator.minhash_many(sparse)}
    if one_by_one:
        calls["minhash"] = lambda: [generator.minhash(row) for row in data.rows]
    return [
        Lane(f"datasketch {name}", repeat(call), functools.partial(_sketches, call), "cws", UNEQUAL)
        for name, call in calls.items()
    ]


def _sketches(call: Callable[[], list[Any]]) -> Outputs:
    values = np.stack([sketch.hashvalues for sketch in call()])
    return values[:, :, 0], values[:, :, 1]


def rows_lane(name: str, form: Callable[[Array], Hashes], data: CwsData, group: str = "cws") -> Lane:
    """Returns a lane that hashes one row after the other."""

    def call() -> list[Hashes]:
        return [form(row) for row in data.rows]

    def result() -> Outputs:
        hashes = call()
        return np.stack([index for index, _ in hashes]), np.stack([t for _, t in hashes]).astype(np.int64)

    return Lane(name, repeat(call), result, group, UNEQUAL)


def _torch(name: str, call: Callable[[], Any]) -> Lane:
    return Lane(name, inference(call), functools.partial(tensors, call), "cws", UNEQUAL)


def _tensors(arrays: Sequence[Array]) -> list[Tensor]:
    import torch

    return [torch.from_numpy(np.ascontiguousarray(array)) for array in arrays]
