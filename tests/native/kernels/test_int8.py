"""lltm_int8 on every instruction set: its sums of integers exactly, the rest against numpy in float64."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from . import oracle, strategies
from .harness import Array, Kernels
from .oracle import Quantized
from .strategies import Shape
from .test_lltm import far

LIMIT = 1e-5
# The gates that let everything through: far out, where sigmoid is 1.
OPEN = 1e6


def inputs_of(data: Sequence[Array], layer: Quantized) -> list[Array]:
    return [*data, *layer.packed()]


def readable(h: Array, x: Array) -> Quantized:
    """Makes a layer whose cell state is the sum of the candidate's integers, plus 2^22, to the last bit.

    With scales of 1 and open gates c' = 0 + 1 * elu(sums + 2^22), exact in float32 up to 2^24.
    """
    hidden = len(h)
    weight_h, weight_x = (np.concatenate([np.zeros_like(each), np.zeros_like(each), each]) for each in (h, x))
    one = np.ones(3 * hidden, np.float32)
    bias = np.repeat(np.array([OPEN, OPEN, 2**22], np.float32), hidden)
    return Quantized(weight_h, weight_x, one, one, bias)


def check_sums(kernels: Kernels, h: Array, x: Array, state: Array, data: Array, shift: int = 0) -> None:
    """Reads the sums of weights int8[H,H] and int8[H,I] with states of -1, 0, 1 and inputs that are integers."""
    data = np.concatenate([data, np.full((len(data), 1), 127, np.float32)], axis=1)  # so that the scale of x is 1
    x = np.concatenate([x, np.zeros((len(x), 1), np.int8)], axis=1)
    sums = np.rint(127 * state).astype(np.int64) @ h.T.astype(np.int64) + data.astype(np.int64) @ x.T.astype(np.int64)
    zeros = np.zeros_like(state)
    inputs = inputs_of([data[None], state, zeros], readable(h, x))
    for isa, (_, _, c) in kernels.on_every_set("lltm_int8", inputs, shift=shift):
        np.testing.assert_array_equal(c.astype(np.int64) - 2**22, sums, f"sums on {isa}")


@given(
    rng=strategies.generators,
    batch=strategies.batches,
    features=strategies.sizes,
    hidden=strategies.sizes,
    shift=strategies.shifts,
)
def test_sums_of_integers_are_exact(
    kernels: Kernels, rng: np.random.Generator, batch: int, features: int, hidden: int, shift: int
) -> None:
    h, x = (rng.integers(-127, 128, (hidden, size), dtype=np.int8) for size in (hidden, features))
    state = rng.integers(-127, 128, (batch, hidden)) / np.float32(127)
    data = rng.integers(-127, 128, (batch, features)).astype(np.float32)
    check_sums(kernels, h, x, state.astype(np.float32), data, shift)


@pytest.mark.parametrize("hidden", [1, 4, 15, 16, 64, 130])
@pytest.mark.parametrize("weight", [127, -127, -128])
@pytest.mark.parametrize("value", [1, -1])
def test_nothing_saturates(kernels: Kernels, hidden: int, weight: int, value: int) -> None:
    """The largest products of all: two of them do not fit 16 bits."""
    h, x = np.full((hidden, hidden), weight, np.int8), np.full((hidden, 37), weight, np.int8)
    state, data = np.full((5, hidden), value, np.float32), np.full((5, 37), 127 * value, np.float32)
    check_sums(kernels, h, x, state, data)


def test_states_are_clamped_and_rounded_to_even(kernels: Kernels) -> None:
    edges = [0.5, 1.5, 2.5, -0.5, -1.5, 126.5, 127.5, 1000, -1000, 1e30, np.inf, -np.inf, 0.4999999, 63.50001]
    state = np.array(edges, np.float32)[None] / np.float32(127)
    hidden = len(edges)
    h = np.eye(hidden, dtype=np.int8)
    expected = oracle.quantize(np.clip(state, -1, 1), 127)
    inputs = inputs_of([np.zeros((1, 1, 3), np.float32), state, np.zeros_like(state)], readable(h, h[:, :3] * 0))
    for isa, (_, _, c) in kernels.on_every_set("lltm_int8", inputs):
        np.testing.assert_array_equal(c.astype(np.int64) - 2**22, expected, f"on {isa}")


@given(rng=strategies.generators, shape=strategies.lltm_shapes(), shift=strategies.shifts)
def test_one_step(kernels: Kernels, rng: np.random.Generator, shape: Shape, shift: int) -> None:
    """One step at most: a state that differs in its last bit may round to another integer in the next."""
    _, batch, features, hidden = shape
    shape = (min(shape[0], 1), batch, features, hidden)
    data, layer = strategies.lltm_call(rng, shape)[:3], strategies.quantized(rng, features, hidden)
    expected = oracle.lltm_int8(*data, layer)
    for isa, outputs in kernels.on_every_set("lltm_int8", inputs_of(data, layer), shift=shift):
        assert far(outputs, expected) < LIMIT, isa


@given(rng=strategies.generators, scale=st.sampled_from((0.0, 1e-42, 1e-38, 1e-30, 1e30, 1e32)))
def test_inputs_of_every_magnitude(kernels: Kernels, rng: np.random.Generator, scale: float) -> None:
    data, layer = strategies.lltm_call(rng, (1, 4, 9, 18))[:3], strategies.quantized(rng, 9, 18)
    x = np.clip(data[0] / 6, -1, 1) * np.float32(scale)
    expected = oracle.lltm_int8(x, *data[1:], layer)
    for isa, outputs in kernels.on_every_set("lltm_int8", inputs_of([x, *data[1:]], layer)):
        assert far(outputs, expected) < LIMIT, isa


@pytest.mark.parametrize("shape", [(6, 1, 28, 128), (4, 32, 28, 128), (5, 7, 33, 130)])
def test_a_sequence(kernels: Kernels, shape: Shape) -> None:
    """Most results agree; those behind a state that was rounded the other way differ by about 1/127 of a weight."""
    rng = np.random.default_rng(8)
    data, layer = strategies.lltm_call(rng, shape)[:3], strategies.quantized(rng, shape[2], shape[3])
    expected = oracle.lltm_int8(*data, layer)
    for isa, outputs in kernels.on_every_set("lltm_int8", inputs_of(data, layer)):
        errors = [np.abs(a - b) for a, b in zip(outputs, expected, strict=True)]
        assert max(each.max() for each in errors) < 5e-3, isa
        assert max(np.median(each) for each in errors) < LIMIT, isa


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", ["input", "h0", "c0"])
def test_a_number_that_is_not_finite_stays_in_its_row(kernels: Kernels, place: str, bad: float) -> None:
    rng = np.random.default_rng(9)
    data, layer = list(strategies.lltm_call(rng, (1, 7, 19, 33))[:3]), strategies.quantized(rng, 19, 33)
    clean = oracle.lltm_int8(*data, layer)
    at = ("input", "h0", "c0").index(place)
    data[at][..., 3, 5] = bad
    others = np.arange(7) != 3
    for isa, outputs in kernels.on_every_set("lltm_int8", inputs_of(data, layer)):
        rest = [each[..., others, :] for each in outputs]
        assert far(rest, [each[..., others, :] for each in clean]) < LIMIT, isa


def test_nan_is_not_hidden(kernels: Kernels) -> None:
    """The scale of a row of inputs with a NaN is NaN."""
    rng = np.random.default_rng(10)
    data, layer = strategies.lltm_call(rng, (1, 3, 19, 33))[:3], strategies.quantized(rng, 19, 33)
    data[0][0, 1, 5] = np.nan
    for isa, outputs in kernels.on_every_set("lltm_int8", inputs_of(data, layer)):
        assert all(np.isnan(each[..., 1, :]).all() for each in outputs), isa
