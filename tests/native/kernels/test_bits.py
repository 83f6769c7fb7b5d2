"""The hashes of cws are the same bits on every instruction set; floats and rows do not depend on the split."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from . import million, oracle, strategies
from .calls import HASHING, RECURRENT, hashing
from .harness import Array, Kernels, Outputs
from .strategies import Shape


@pytest.mark.slow
@pytest.mark.parametrize("name", HASHING)
def test_a_million_hashes(kernels: Kernels, name: str) -> None:
    inputs, attributes, tables = million.call(name)
    expected = oracle.cws(inputs[0], tables)
    assert expected[0].size >= 1_000_000
    for isa, (index, t) in kernels.on_every_set(name, inputs, attributes):
        assert int(((index != expected[0]) | (t != expected[1])).sum()) == 0, f"{name} on {isa}"


def drawn(
    name: str, rng: np.random.Generator, rows: int, features: int, hashes: int
) -> tuple[list[Array], dict[str, float]]:
    data = rng.lognormal(0, 3, (rows, features)).astype(np.float32)
    data[rng.random(data.shape) < 0.4] = 0
    inputs, attributes, _ = hashing(name, data, strategies.draw_tables(rng, hashes, features), rng)
    return inputs, attributes


def same_for_any_threads(kernels: Kernels, name: str, inputs: Sequence[Array], **attributes: float) -> None:
    for isa, alone in kernels.on_every_set(name, inputs, attributes):
        for threads in (2, 3, 4):
            kernels.forget_tables()
            together = kernels.run(isa, name, inputs, attributes, threads=threads)
            assert bits(together) == bits(alone), f"{name} on {isa} with {threads} threads"


def bits(outputs: Outputs) -> list[bytes]:
    return [each.tobytes() for each in outputs]


@pytest.mark.parametrize("rows", [1, 37])
@pytest.mark.parametrize("name", HASHING)
def test_threads_give_the_same_hashes(kernels: Kernels, name: str, rows: int) -> None:
    hashes = 1000 if rows == 1 else 250
    inputs, attributes = drawn(name, np.random.default_rng(23), rows, 1500 if rows == 1 else 300, hashes)
    same_for_any_threads(kernels, name, inputs, **attributes)


@pytest.mark.parametrize("shape", [(3, 1, 40, 513), (3, 37, 70, 200), (9, 300, 3, 17)])
@pytest.mark.parametrize("name", RECURRENT)
def test_threads_give_the_same_states(kernels: Kernels, name: str, shape: Shape) -> None:
    same_for_any_threads(kernels, name, RECURRENT[name](np.random.default_rng(24), shape))


def test_threads_square_alike(kernels: Kernels) -> None:
    x = np.random.default_rng(25).standard_normal(1_000_003).astype(np.float32)
    same_for_any_threads(kernels, "square", [x])
    same_for_any_threads(kernels, "square_backward", [x, x[::-1].copy()])


cuts = st.lists(st.integers(1, 22), max_size=5).map(lambda each: [0, *sorted(set(each)), 23])


@given(rng=strategies.generators, cut=cuts, name=st.sampled_from(HASHING), sizes=st.tuples(*[st.integers(1, 40)] * 2))
def test_a_row_has_its_hashes_in_any_batch(
    kernels: Kernels, rng: np.random.Generator, cut: list[int], name: str, sizes: tuple[int, int]
) -> None:
    (data, *tables), attributes = drawn(name, rng, 23, *sizes)
    for isa, whole in kernels.on_every_set(name, [data, *tables], attributes):
        pieces = [
            kernels.run(isa, name, [np.ascontiguousarray(data[a:b]), *tables], attributes)
            for a, b in itertools.pairwise(cut)
        ]
        assert bits(whole) == bits(tuple(map(np.concatenate, zip(*pieces, strict=True)))), f"{name} on {isa}"


@given(
    rng=strategies.generators,
    cut=cuts,
    name=st.sampled_from(("lltm", "lltm_packed", "lltm_int8", "lltm_training")),
    sizes=st.tuples(st.integers(1, 4), st.integers(0, 40), st.integers(1, 70)),
)
def test_a_row_has_its_states_in_any_batch(
    kernels: Kernels, rng: np.random.Generator, cut: list[int], name: str, sizes: tuple[int, int, int]
) -> None:
    steps, features, hidden = sizes
    x, h, c, *rest = RECURRENT[name](rng, (steps, 23, features, hidden))
    for isa, whole in kernels.on_every_set(name, [x, h, c, *rest]):
        for a, b in itertools.pairwise(cut):
            piece = kernels.run(isa, name, [np.ascontiguousarray(each) for each in (x[:, a:b], h[a:b], c[a:b])] + rest)
            assert bits(piece) == bits(tuple(each[..., a:b, :] for each in whole)), f"{name} on {isa}, rows {a} to {b}"


@given(rng=strategies.generators, name=st.sampled_from(("lltm", "lltm_packed", "lltm_int8")), cut=st.integers(0, 6))
def test_a_sequence_may_be_cut(kernels: Kernels, rng: np.random.Generator, name: str, cut: int) -> None:
    """The states after a part, given to the rest, lead to the same end."""
    x, h, c, *rest = RECURRENT[name](rng, (6, 3, 7, 21))
    for isa, whole in kernels.on_every_set(name, [x, h, c, *rest]):
        first, h1, c1 = kernels.run(isa, name, [x[:cut], h, c, *rest])
        second, h2, c2 = kernels.run(isa, name, [x[cut:], h1, c1, *rest])
        assert bits((np.concatenate([first, second]), h2, c2)) == bits(whole), f"{name} on {isa}"
