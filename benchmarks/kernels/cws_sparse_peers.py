"""Peers for rows with few weights that are not zero: they gather the parameters of those from tables of all.

Every form exists twice: it starts from the same dense row as the op, or is given the positions and values of what is
not zero, which is less work than the op does.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.kernels.cws_data import Array, CwsData
from benchmarks.kernels.cws_peers import UNEQUAL, Hashes
from benchmarks.kernels.own import inference
from benchmarks.kernels.timing import Lane, Outputs, repeat

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Tables:
    """The parameters in the two layouts that are gathered from.

    Attributes:
        by_feature: float32[D,4,k]: 1/r, beta, s, r.
        by_hash: float32[k,D] each of these.
    """

    by_feature: Array
    by_hash: tuple[Array, ...]


def tables(data: CwsData) -> Tables:
    """Makes the tables."""
    by_feature = np.empty((data.rows.shape[1], 4, data.hashes), np.float32)
    for number, part in enumerate(data.parts):
        by_feature[:, number] = part.T
    return Tables(by_feature, data.parts)


def numpy_lanes(data: CwsData, made: Tables, given: bool) -> list[Lane]:
    """Returns numpy with either layout.

    Args:
        data: The rows.
        made: Their tables.
        given: Start from the positions and values of what is not zero.
    """
    forms: dict[str, Callable[[Array, Array], Hashes]] = {
        "by feature": functools.partial(_numpy_by_feature, made.by_feature),
        "by hash": functools.partial(_numpy_by_hash, made.by_hash),
    }
    return [_numpy_lane(_name("numpy", name, given), form, data, given) for name, form in forms.items()]


def _name(peer: str, form: str, given: bool) -> str:
    return f"{peer}, nonzeros given: {form}" if given else f"{peer}: {form}"


def _numpy_lane(name: str, form: Callable[[Array, Array], Hashes], data: CwsData, given: bool) -> Lane:
    found = [_numpy_nonzeros(row) for row in data.rows]

    def call() -> list[Hashes]:
        if given:
            return [form(at, values) for at, values in found]
        return [form(*_numpy_nonzeros(row)) for row in data.rows]

    return Lane(name, repeat(call), functools.partial(_stacked, call), "cws", UNEQUAL)


def _numpy_nonzeros(row: Array) -> tuple[Array, Array]:
    at = np.flatnonzero(row)
    return at, row[at]


def _numpy_by_feature(table: Array, at: Array, values: Array) -> Hashes:
    ri, beta, s, r = table[at].transpose(1, 0, 2)
    t = np.log(values)[:, None] * ri
    t += beta
    np.floor(t, out=t)
    a = r * t
    np.subtract(s, a, out=a)
    index = a.argmin(axis=0)
    return at[index], t[index, np.arange(index.size)]


def _numpy_by_hash(parts: tuple[Array, ...], at: Array, values: Array) -> Hashes:
    ri, beta, s, r = (part.take(at, axis=1) for part in parts)
    t = np.log(values) * ri
    t += beta
    np.floor(t, out=t)
    a = r * t
    np.subtract(s, a, out=a)
    index = a.argmin(axis=1)
    return at[index], t[np.arange(index.size), index]


def torch_lanes(data: CwsData, made: Tables, given: bool) -> list[Lane]:
    """Returns torch in eager mode with either layout; the arguments are those of `numpy_lanes`."""
    import torch

    by_hash = tuple(torch.from_numpy(part) for part in made.by_hash)
    forms: dict[str, Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]] = {
        "by feature": functools.partial(_torch_by_feature, torch.from_numpy(made.by_feature)),
        "by hash": functools.partial(_torch_by_hash, by_hash),
    }
    return [_torch_lane(_name("torch eager", name, given), form, data, given) for name, form in forms.items()]


def _torch_lane(name: str, form: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]], data: CwsData, given: bool) -> Lane:
    import torch

    rows = torch.from_numpy(data.rows)
    found = [_torch_nonzeros(row) for row in rows]

    def call() -> list[tuple[Tensor, Tensor]]:
        if given:
            return [form(at, values) for at, values in found]
        return [form(*_torch_nonzeros(row)) for row in rows]

    return Lane(name, inference(call), functools.partial(_stacked, call), "cws", UNEQUAL)


def _torch_nonzeros(row: Tensor) -> tuple[Tensor, Tensor]:
    at = row.nonzero().squeeze(1)
    return at, row[at]


def _torch_by_feature(table: Tensor, at: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    ri, beta, s, r = table.index_select(0, at).unbind(1)
    t = values.log().unsqueeze(1).mul(ri).add_(beta).floor_()
    index = s.sub(r * t).argmin(dim=0, keepdim=True)
    return at[index.squeeze(0)], t.gather(0, index).squeeze(0).long()


def _torch_by_hash(parts: tuple[Tensor, ...], at: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    ri, beta, s, r = (part.index_select(1, at) for part in parts)
    t = values.log().mul(ri).add_(beta).floor_()
    index = s.sub(r * t).argmin(dim=1, keepdim=True)
    return at[index.squeeze(1)], t.gather(1, index).squeeze(1).long()


def _stacked(call: Callable[[], list[tuple[Any, Any]]]) -> Outputs:
    hashes = call()
    return (
        np.stack([np.asarray(index) for index, _ in hashes]),
        np.stack([np.asarray(t) for _, t in hashes]).astype(np.int64),
    )
