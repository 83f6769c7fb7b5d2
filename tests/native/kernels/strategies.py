"""Awkward calls of the ops, for hypothesis: shapes are drawn by it, numbers from a seed that it draws."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from .oracle import Quantized, Tables

Array = np.ndarray[Any, Any]
Shape = tuple[int, int, int, int]  # T, B, I, H

# Around the numbers of lanes of every set, and around tiles of 16.
AWKWARD = (0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 49, 65)
sizes = st.one_of(st.sampled_from(AWKWARD), st.integers(0, 70))
batches = st.one_of(st.sampled_from((0, 1, 2, 3, 4, 5, 7, 8, 9, 17)), st.integers(0, 20))
generators = st.builds(np.random.default_rng, st.integers(0, 2**32 - 1))
shifts = st.sampled_from((0, 1, 3))

ODD_WEIGHTS = {
    "zeros": 0.0,
    "denormal": 1e-45,
    "tiny": 1.2e-38,
    "huge": 3.4e38,
    "one": 1.0,
}
BAD_WEIGHTS = (np.nan, np.inf, -1.0, -1e-45, -np.inf)


@st.composite
def weights(draw: st.DrawFn, features: int) -> Array:
    """Rows of weights of every magnitude, with zeros, denormals, equal ones, and rows that have no hash."""
    rows = draw(batches)
    rng = draw(generators)
    data = rng.lognormal(0, draw(st.sampled_from((0, 1, 20))), (rows, features)).astype(np.float32)
    for odd in draw(st.sets(st.sampled_from(sorted(ODD_WEIGHTS)))):
        data[rng.random(data.shape) < 0.3] = ODD_WEIGHTS[odd]
    if data.size:
        data[rng.random(rows) < 0.1] = 0
        for bad in draw(st.lists(st.sampled_from(BAD_WEIGHTS), max_size=2)):
            data[rng.integers(rows), draw(st.sampled_from((0, features // 2, features - 1)))] = bad
        data[(data == 0) & (rng.random(data.shape) < 0.3)] = -0.0
    return data


def draw_tables(rng: np.random.Generator, hashes: int, features: int, kind: str = "gamma") -> Tables:
    """Draws tables; `close` and `level` ones make heights that differ by the rounding of the operations alone.

    Those of `level` tables are s for weights of 1, and those of `close` tables -log(weight).
    """
    shape = (hashes, features)
    log_c, beta = np.log(rng.gamma(2, size=shape)), rng.random(shape)
    r = rng.gamma(2, size=shape)
    if kind == "level":
        log_c = -1 - r * (beta - 1)
    elif kind == "close":
        r, log_c = 10 ** rng.uniform(-7, -3, shape), np.zeros(shape)
    elif kind == "coarse":
        r, log_c, beta = np.full(shape, 0.5), np.zeros(shape), rng.integers(0, 3, shape) / 2
    return Tables(*(part.astype(np.float32) for part in (r, log_c, beta)))


@st.composite
def cws_calls(draw: st.DrawFn) -> tuple[Array, Tables]:
    """Rows and tables."""
    features, hashes = draw(sizes), draw(sizes)
    kind = draw(st.sampled_from(("gamma", "close", "level", "coarse")))
    return draw(weights(features)), draw_tables(draw(generators), hashes, features, kind)


@st.composite
def code_calls(draw: st.DrawFn) -> tuple[Array, Array, int]:
    """Rows, codes, and the number of hashes."""
    features, hashes = draw(sizes), draw(sizes)
    codes = draw(generators).integers(0, 256, (features, -(-hashes // 16), 48), dtype=np.uint8)
    return draw(weights(features)), codes, hashes


@st.composite
def lltm_shapes(draw: st.DrawFn) -> Shape:
    """Draws T, B, I and H."""
    return draw(st.integers(0, 4)), draw(batches), draw(sizes), draw(sizes)


def lltm_call(rng: np.random.Generator, shape: Shape, scale: float = 1) -> tuple[Array, ...]:
    """Draws input, h0, c0, weight and bias."""
    steps, batch, features, hidden = shape
    states = [rng.standard_normal(each) for each in ((steps, batch, features), (batch, hidden), (batch, hidden))]
    weight = rng.standard_normal((3 * hidden, hidden + features)) * (scale / np.sqrt(1 + hidden + features))
    made = (*states, weight, rng.standard_normal(3 * hidden))
    return tuple(each.astype(np.float32) for each in made)


def quantized(rng: np.random.Generator, features: int, hidden: int) -> Quantized:
    """Draws an int8 layer."""
    h, x = (rng.integers(-127, 128, (3 * hidden, size), dtype=np.int8) for size in (hidden, features))
    scale = [rng.uniform(0.5, 1.5, 3 * hidden) / (127 * (1 + size) ** 0.5) for size in (hidden, features)]
    parts = (scale[0] / 127, scale[1], rng.standard_normal(3 * hidden))
    return Quantized(h, x, *(part.astype(np.float32) for part in parts))
