"""Calls of every op, by its name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from . import oracle, strategies
from .harness import Array
from .oracle import Tables
from .strategies import Shape


def lltm(rng: np.random.Generator, shape: Shape) -> list[Array]:
    return list(strategies.lltm_call(rng, shape))


def packed(rng: np.random.Generator, shape: Shape) -> list[Array]:
    *data, weight, bias = strategies.lltm_call(rng, shape)
    return [*data, oracle.lltm_panels(weight, bias, shape[3])]


def int8(rng: np.random.Generator, shape: Shape) -> list[Array]:
    return [*strategies.lltm_call(rng, shape)[:3], *strategies.quantized(rng, shape[2], shape[3]).packed()]


def backward(rng: np.random.Generator, shape: Shape) -> list[Array]:
    steps, batch, _, hidden = shape
    sizes = ((steps, batch, hidden), (batch, hidden), (batch, hidden))
    upstream = [rng.standard_normal(each).astype(np.float32) for each in sizes]
    gates = rng.random((steps, batch, 3 * hidden)).astype(np.float32)
    output, cells = (rng.standard_normal(sizes[0]).astype(np.float32) for _ in range(2))
    return [*upstream, *strategies.lltm_call(rng, shape)[:4], output, gates, cells]


Make = Callable[[np.random.Generator, Shape], list[Array]]
HASHING = ("cws", "cws_dense", "cws_sparse", "cws_codes", "cws_generated")
RECURRENT: dict[str, Make] = {
    "lltm": lltm,
    "lltm_packed": packed,
    "lltm_int8": int8,
    "lltm_training": lltm,
    "lltm_backward": backward,
}


def hashing(
    name: str, data: Array, tables: Tables, rng: np.random.Generator
) -> tuple[list[Array], dict[str, float], Tables]:
    """Returns the inputs and attributes of an op of cws, and the parameters that it then hashes with.

    Those are the tables, where the op takes any; else drawn ones of the same sizes.
    """
    hashes, features = tables.r.shape
    if name == "cws":
        return [data, *tables], {}, tables
    if name == "cws_codes":
        codes = rng.integers(0, 256, (features, -(-hashes // 16), 48), dtype=np.uint8)
        return [data, codes], {"hashes": hashes}, oracle.decode(codes, hashes)
    if name == "cws_generated":
        seed = int(rng.integers(2**62))
        return [data, np.array([seed], np.int64)], {"hashes": hashes}, oracle.draw(seed, hashes, features)
    packed = oracle.dense_table(tables) if name == "cws_dense" else oracle.sparse_table(tables)
    return [data, packed], {"hashes": hashes}, tables
