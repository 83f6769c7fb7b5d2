"""A million hashes in every storage, most of them of tables whose every rounding shows in the result."""

from __future__ import annotations

import functools

import numpy as np

from . import calls, strategies
from .harness import Array
from .oracle import Tables

ROWS, FEATURES, HASHES = 4000, 12, 250


def rows() -> Array:
    """Returns rows with zeros, denormals and weights of all magnitudes; some rows have equal weights."""
    rng = np.random.default_rng(20)
    data = rng.lognormal(0, rng.choice([0, 1, 25], (ROWS, 1)), (ROWS, FEATURES)).clip(0, 3e38).astype(np.float32)
    data[rng.random(data.shape) < 0.2] = 0
    data[rng.random(data.shape) < 0.05] = 1e-42
    return data


def tables() -> Tables:
    """Returns tables as they are drawn, and ones that differ from hash to hash in little but the rounding."""
    rng = np.random.default_rng(21)
    kinds = {"gamma": 50, "close": 100, "level": HASHES - 150}
    drawn = (strategies.draw_tables(rng, hashes, FEATURES, kind) for kind, hashes in kinds.items())
    return Tables(*(np.concatenate(parts) for parts in zip(*drawn, strict=True)))


@functools.cache
def call(name: str) -> tuple[list[Array], dict[str, float], Tables]:
    """Returns the inputs and attributes of an op of cws, and the tables that it hashes with."""
    return calls.hashing(name, rows(), tables(), np.random.default_rng(22))
