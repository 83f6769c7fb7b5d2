"""lltm and its packed form, on every instruction set, against numpy in float64."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from . import oracle, strategies
from .harness import Array, Kernels
from .strategies import Shape

LIMIT = 1e-5


def forms(call: Sequence[Array]) -> dict[str, Sequence[Array]]:
    """Returns the calls that must give the same numbers."""
    *data, weight, bias = call
    return {"lltm": call, "lltm_packed": [*data, oracle.lltm_panels(weight, bias, data[1].shape[1])]}


def far(got: Sequence[Array], expected: Sequence[Array]) -> float:
    """Returns the largest difference, relative to the largest number where that is above 1."""
    pairs = [(a.astype(np.float64), b.astype(np.float64)) for a, b in zip(got, expected, strict=True)]
    return max(float(np.abs(a - b).max(initial=0) / max(1, np.abs(b).max(initial=0))) for a, b in pairs)


def rounding(call: Sequence[Array]) -> float:
    """Returns what float32 loses in the largest sum of a gate, whose terms may cancel."""
    x, h, _, weight, _ = (np.abs(each.astype(np.float64)) for each in call)
    largest = np.maximum(1, h).max(axis=0, initial=1)  # a state after the first step is at most 1
    terms = np.concatenate([largest, x.max(axis=(0, 1), initial=0)])
    return float(np.finfo(np.float32).eps * (weight @ terms).max(initial=0))


def check(kernels: Kernels, call: Sequence[Array], shift: int = 0) -> None:
    expected, limit = oracle.lltm(*call), LIMIT + rounding(call)
    for name, inputs in forms(call).items():
        for isa, outputs in kernels.on_every_set(name, inputs, shift=shift):
            assert far(outputs, expected) < limit, f"{name} on {isa}"


@given(rng=strategies.generators, shape=strategies.lltm_shapes(), shift=strategies.shifts)
def test_shapes(kernels: Kernels, rng: np.random.Generator, shape: Shape, shift: int) -> None:
    check(kernels, strategies.lltm_call(rng, shape), shift)


@pytest.mark.parametrize(
    "shape", [(3, 1, 128, 128), (2, 32, 28, 128), (2, 6, 200, 257), (1, 70, 1, 1), (70, 9, 5, 9), (70, 2, 5, 33)]
)
def test_larger_shapes(kernels: Kernels, shape: Shape) -> None:
    check(kernels, strategies.lltm_call(np.random.default_rng(3), shape))


@given(rng=strategies.generators, scale=st.sampled_from((0, 1e-42, 1e-38, 30, 1e4)))
def test_weights_of_every_magnitude(kernels: Kernels, rng: np.random.Generator, scale: float) -> None:
    """Denormal and zero weights, and gates that saturate."""
    data = strategies.lltm_call(rng, (1, 5, 9, 18))
    check(kernels, [*data[:3], (data[3] * scale).astype(np.float32), data[4]])


def test_states_and_inputs_that_are_denormal(kernels: Kernels) -> None:
    data = list(strategies.lltm_call(np.random.default_rng(4), (2, 3, 17, 17)))
    for at in range(3):
        data[at] = (data[at] * np.float32(1e-41)).astype(np.float32)
    check(kernels, data)


@pytest.mark.parametrize("gate", [-1e30, -200.0, -90.0, -87.5, 87.5, 90.0, 200.0, 1e30])
def test_gates_far_out(kernels: Kernels, gate: float) -> None:
    """Beyond the range of exp in float32."""
    call = list(strategies.lltm_call(np.random.default_rng(5), (1, 2, 3, 17)))
    call[4] = np.full_like(call[4], gate)
    check(kernels, call)


@pytest.mark.parametrize("place", ["input", "h0", "c0"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_stays_in_its_row(kernels: Kernels, place: str, bad: float) -> None:
    call = list(strategies.lltm_call(np.random.default_rng(6), (2, 7, 19, 33)))
    clean = oracle.lltm(*call)
    at = ("input", "h0", "c0").index(place)
    call[at] = call[at].copy()
    call[at][(0, 3, 5) if at == 0 else (3, 5)] = bad
    others = np.arange(7) != 3
    for name, inputs in forms(call).items():
        for isa, outputs in kernels.on_every_set(name, inputs):
            rest = [each[..., others, :] for each in outputs]
            assert far(rest, [each[..., others, :] for each in clean]) < LIMIT, f"{name} on {isa}"


@pytest.mark.parametrize("place", ["input", "h0"])
def test_nan_is_not_hidden(kernels: Kernels, place: str) -> None:
    """Every gate of a row sees its inputs, so that none of its results is a number."""
    call = list(strategies.lltm_call(np.random.default_rng(7), (2, 3, 19, 33)))
    call[("input", "h0").index(place)][..., 1, 5] = np.nan
    for name, inputs in forms(call).items():
        for isa, outputs in kernels.on_every_set(name, inputs):
            assert all(np.isnan(each[..., 1, :]).all() for each in outputs), f"{name} on {isa}"
