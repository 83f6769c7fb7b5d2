"""Inputs and tables of consistent weighted sampling, in the layouts of the ops and of the peers."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from deploypipe.ops import cws_layouts

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class CwsData:
    """Rows of weights, and hash functions.

    Attributes:
        rows: float32[B,D], nonnegative, many zeros.
        r: float32[k,D], Gamma(2,1).
        log_c: float32[k,D], logarithm of Gamma(2,1).
        beta: float32[k,D], U(0,1).
    """

    rows: Array
    r: Array
    log_c: Array
    beta: Array

    @property
    def hashes(self) -> int:
        """The number of hash functions."""
        return int(self.r.shape[0])

    @property
    def nonzeros(self) -> int:
        """Of all rows together."""
        return int(np.count_nonzero(self.rows))

    @functools.cached_property
    def parts(self) -> tuple[Array, ...]:
        """1/r, beta, s = log c + r (beta - 1), and r: float32[k,D] each, what one hash of one feature needs."""
        return tuple(cws_layouts.parameters(*self._tensors()).numpy())

    def dense_table(self) -> Array:
        """Returns float32[k/16,D,64]: per tile of 16 hashes and feature 16 of each part."""
        return np.asarray(cws_layouts.pack(cws_layouts.parameters(*self._tensors()), feature_major=False))

    def sparse_table(self) -> Array:
        """Returns float32[D,k/16,64]: the same 64 numbers, all of a feature together."""
        return np.asarray(cws_layouts.pack(cws_layouts.parameters(*self._tensors()), feature_major=True))

    def coded(self) -> tuple[Array, CwsData]:
        """Returns uint8[D,k/16,48], one code per number, and the tables that the codes stand for."""
        codes = cws_layouts.encode(*self._tensors())
        real = (part.numpy() for part in cws_layouts.decode(codes))
        return np.asarray(cws_layouts.pack(codes, feature_major=True)), CwsData(self.rows, *real)

    def _tensors(self) -> list[torch.Tensor]:
        return [torch.from_numpy(part) for part in (self.r, self.log_c, self.beta)]


def draw(batch: int, features: int, hashes: int, nonzeros: int | None = None, seed: int = 0) -> CwsData:
    """Draws rows and tables; about half of the weights of a row are zero unless their number is given."""
    generator = np.random.default_rng(seed)
    r = generator.gamma(2, 1, (hashes, features)).astype(np.float32)
    log_c = np.log(generator.gamma(2, 1, (hashes, features))).astype(np.float32)
    beta = generator.random((hashes, features), np.float32)
    return CwsData(_rows(generator, batch, features, nonzeros), r, log_c, beta)


def _rows(generator: np.random.Generator, batch: int, features: int, nonzeros: int | None) -> Array:
    rows = np.zeros((batch, features), np.float32)
    if nonzeros is None:
        used = generator.random(rows.shape) < 0.5
        rows[used] = generator.gamma(1, 1, np.count_nonzero(used)) + 1e-3
        return rows
    for row in rows:
        at = generator.choice(features, nonzeros, replace=False)
        row[at] = generator.gamma(1, 1, nonzeros) + 1e-3
    return rows
