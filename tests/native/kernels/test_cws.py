"""cws and its packed forms, on every instruction set, bit for bit against numpy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from . import calls, oracle, strategies
from .harness import Array, Kernels
from .oracle import Tables

Forms = dict[str, tuple[Sequence[Array], dict[str, float]]]


def forms(tables: Tables) -> Callable[[Array], Forms]:
    """Returns the calls that must all give the hashes of the tables."""
    hashes = {"hashes": float(len(tables.r))}
    dense, sparse = oracle.dense_table(tables), oracle.sparse_table(tables)
    return lambda data: {
        "cws": ([data, *tables], {}),
        "cws_dense": ([data, dense], hashes),
        "cws_sparse": ([data, sparse], hashes),
    }


def check(kernels: Kernels, forms: Forms, expected: tuple[Array, Array], shift: int = 0) -> None:
    for name, (inputs, attributes) in forms.items():
        for isa, (index, t) in kernels.on_every_set(name, inputs, attributes, shift=shift):
            np.testing.assert_array_equal(index, expected[0], f"index of {name} on {isa}")
            np.testing.assert_array_equal(t, expected[1], f"t of {name} on {isa}")


@given(call=strategies.cws_calls(), shift=strategies.shifts)
def test_tables(kernels: Kernels, call: tuple[Array, Tables], shift: int) -> None:
    data, tables = call
    check(kernels, forms(tables)(data), oracle.cws(data, tables), shift)


@pytest.mark.parametrize("share", [1.0, 0.3, 0.02])
@pytest.mark.parametrize("shape", [(1, 300, 100), (2, 97, 17), (33, 193, 65), (70, 96, 130), (3, 1000, 33)])
def test_larger_shapes(kernels: Kernels, shape: tuple[int, int, int], share: float) -> None:
    """More rows and features than are taken at a time; dense ones, and ones that have few features in common."""
    rng = np.random.default_rng(16)
    rows, features, hashes = shape
    data = rng.lognormal(0, 2, (rows, features)).astype(np.float32)
    data[rng.random(data.shape) >= share] = 0
    for name in calls.HASHING:
        drawn = strategies.draw_tables(rng, hashes, features)
        inputs, attributes, tables = calls.hashing(name, data, drawn, rng)
        check(kernels, {name: (inputs, attributes)}, oracle.cws(data, tables))


@given(call=strategies.code_calls(), shift=strategies.shifts)
def test_codes(kernels: Kernels, call: tuple[Array, Array, int], shift: int) -> None:
    data, codes, hashes = call
    expected = oracle.cws(data, oracle.decode(codes, hashes))
    check(kernels, {"cws_codes": ([data, codes], {"hashes": hashes})}, expected, shift)


def generated(data: Array, seed: int, hashes: int) -> Forms:
    return {"cws_generated": ([data, np.array([seed], np.int64)], {"hashes": hashes})}


SEEDS = st.one_of(st.sampled_from((0, 1, -1, 2**31, 2**32, -(2**63), 2**63 - 1)), st.integers(-(2**63), 2**63 - 1))


@given(data=strategies.sizes.flatmap(strategies.weights), hashes=strategies.sizes, seed=SEEDS, shift=strategies.shifts)
def test_seeds(kernels: Kernels, data: Array, hashes: int, seed: int, shift: int) -> None:
    expected = oracle.cws(data, oracle.draw(seed, hashes, data.shape[1]))
    check(kernels, generated(data, seed, hashes), expected, shift)


def test_many_seeds_in_turn(kernels: Kernels) -> None:
    """More tables than a process would keep, sizes that differ under one seed, and each again."""
    rng = np.random.default_rng(14)
    calls = [(seed, hashes, features) for seed in range(40) for hashes, features in ((17, 5), (17, 6), (18, 5))]
    for seed, hashes, features in [*calls, *calls[::7], *calls[::-1]]:
        data = rng.random((1, features)).astype(np.float32)
        expected = oracle.cws(data, oracle.draw(seed, hashes, features))
        for inputs, attributes in generated(data, seed, hashes).values():
            index, t = kernels.run(kernels.isas[-1], "cws_generated", inputs, attributes)
            assert np.array_equal(index, expected[0])
            assert np.array_equal(t, expected[1])


def test_a_large_table_of_a_seed(kernels: Kernels) -> None:
    """Above 32 MB it is laid out for sparse rows."""
    rng = np.random.default_rng(17)
    data = np.zeros((3, 8500), np.float32)
    for row in data:
        row[rng.integers(0, len(row), 70)] = rng.random(70)
    expected = oracle.cws(data, oracle.draw(99, 250, 8500))
    check(kernels, generated(data, 99, 250), expected)


def test_seeds_in_several_threads(kernels: Kernels) -> None:
    """Calls of the same and of other seeds at once, as a server makes them, all first uses."""
    data = np.random.default_rng(15).random((3, 300)).astype(np.float32)

    def call(seed: int) -> list[Array]:
        inputs, attributes = generated(data, seed, 250)["cws_generated"]
        return list(kernels.plain("cws_generated", inputs, attributes))

    seeds = [1000 + at // 4 for at in range(64)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(call, seeds))
    for seed, outputs in zip(seeds, found, strict=True):
        for got, wanted in zip(outputs, oracle.cws(data, oracle.draw(seed, 250, 300)), strict=True):
            assert np.array_equal(got, wanted)


def test_every_code(kernels: Kernels) -> None:
    """One feature, so that t alone tells r and beta, and two of opposite codes, so that the heights do."""
    rng = np.random.default_rng(1)
    every = np.repeat(np.arange(256, dtype=np.uint8), 16)
    parts = [rng.permuted(every).reshape(256, 16) for _ in range(3)]
    codes = (
        np.concatenate([parts, 255 - np.array(parts)]).reshape(2, 3, 256, 16).transpose(0, 2, 1, 3).reshape(2, 256, 48)
    )
    data = rng.lognormal(0, 20, (60, 2)).astype(np.float32)
    data[:20, 0] = 0
    data[20:40, 1] = 0
    expected = oracle.cws(data, oracle.decode(codes, 4096))
    check(kernels, {"cws_codes": ([data, codes], {"hashes": 4096})}, expected)


@pytest.mark.parametrize("features", [2, 5, 16, 33, 70])
def test_of_equal_heights_the_lowest_index_wins(kernels: Kernels, features: int) -> None:
    hashes = 40
    tables = Tables(*(np.full((hashes, features), value, np.float32) for value in (0.75, -1.0, 0.5)))
    data = np.ones((features, features), np.float32)
    for row in range(features):
        data[row, :row] = 0  # the first that counts is `row`
    index = np.repeat(np.arange(features)[:, None], hashes, axis=1)
    check(kernels, forms(tables)(data), (index, np.zeros_like(index)))


@pytest.mark.parametrize("features", [1, 4, 17, 64])
def test_rows_without_a_hash(kernels: Kernels, features: int) -> None:
    """One bad weight spoils its row, wherever it stands, and no other row."""
    bad = [(value, at) for value in strategies.BAD_WEIGHTS for at in range(features)]
    rng = np.random.default_rng(2)
    data = rng.random((2 * len(bad) + 3, features)).astype(np.float32)
    for row, (value, at) in enumerate(bad):
        data[2 * row, at] = value
    data[-1], data[-2] = 0, -0.0
    tables = strategies.draw_tables(rng, 19, features)
    expected = oracle.cws(data, tables)
    spoiled = np.isin(np.arange(len(data)), [*range(0, 2 * len(bad), 2), len(data) - 2, len(data) - 1])
    assert np.array_equal((expected[0] == -1).all(axis=1), spoiled)
    check(kernels, forms(tables)(data), expected)


def test_the_logarithm_of_every_magnitude(kernels: Kernels) -> None:
    """A tiny r makes t a magnifying glass: one unit in the last place of the logarithm moves it."""
    one, root_half = 0x3F800000, 0x3F3504F3  # where it is 0, and where the exponent changes
    near = [np.arange(at - 500, at + 500) for at in (one, root_half, root_half + 0x800000)]
    bits = np.concatenate([np.arange(1, 0x7F800000, 50_021), *near]).astype(np.uint32)
    data = bits.view(np.float32).reshape(-1, 1)
    tables = Tables(*(np.full((1, 1), value, np.float32) for value in (2.0**-40, 0.0, 0.5)))
    check(kernels, forms(tables)(data), oracle.cws(data, tables))


def test_levels_beyond_int64(kernels: Kernels) -> None:
    data = np.array([[1e30], [1e-30]], np.float32)
    tables = Tables(*(np.full((17, 1), value, np.float32) for value in (1e-30, 0.0, 0.5)))
    for name, (inputs, attributes) in forms(tables)(data).items():
        first = kernels.run("portable", name, inputs, attributes)
        assert (first[1][0] > 9e18).all()
        assert (first[1][1] < -9e18).all()
        for _, outputs in kernels.on_every_set(name, inputs, attributes):
            assert np.array_equal(outputs, first)
