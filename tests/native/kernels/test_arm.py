"""The kernels of 64-bit ARM in an emulator: the bits of cws, the floats of lltm, and the choice of a set."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from . import million, oracle, strategies
from .calls import HASHING, RECURRENT
from .harness import Array, Emulated, Kernels
from .strategies import Shape
from .test_int8 import inputs_of, readable
from .test_lltm import LIMIT, far

SETS = ("portable", "neon", "neondot")


def test_the_emulator_is_there() -> None:
    assert shutil.which("qemu-aarch64"), "install it, for example with 'apt install qemu-user'"


@pytest.mark.slow
@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("name", HASHING)
def test_a_million_hashes(kernels: Kernels, arm: Emulated, name: str, isa: str) -> None:
    inputs, attributes, _ = million.call(name)
    expected = kernels.run("portable", name, inputs, attributes)
    index, t = arm.run(isa, name, inputs, attributes, expected)
    assert expected[0].size >= 1_000_000
    assert int(((index != expected[0]) | (t != expected[1])).sum()) == 0


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("name", RECURRENT)
@pytest.mark.parametrize("shape", [(3, 1, 1, 1), (2, 5, 7, 33), (2, 9, 16, 64), (2, 0, 3, 4)])
def test_states(kernels: Kernels, arm: Emulated, name: str, shape: Shape, isa: str) -> None:
    inputs = RECURRENT[name](np.random.default_rng(30), shape)
    expected = kernels.run("portable", name, inputs)
    # A state of int8 that is rounded the other way moves a gate by 1/127 of a weight.
    assert far(arm.run(isa, name, inputs, {}, expected), expected) < (5e-3 if name == "lltm_int8" else LIMIT)


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("extreme", [True, False])
def test_sums_of_integers_are_exact(arm: Emulated, isa: str, extreme: bool) -> None:
    rng = np.random.default_rng(31)
    batch, features, hidden = 5, 37, 66
    h, x = (rng.integers(-127, 128, (hidden, size), dtype=np.int8) for size in (hidden, features))
    state, data = rng.integers(-127, 128, (batch, hidden)), rng.integers(-127, 128, (batch, features))
    data[:, 0] = 127
    if extreme:
        h[:], x[:], state[:], data[:] = -128, -128, -127, -127
    sums = state @ h.T.astype(np.int64) + data @ x.T.astype(np.int64)
    states: list[Array] = [(state / np.float32(127)).astype(np.float32), np.zeros((batch, hidden), np.float32)]
    inputs = inputs_of([data[None].astype(np.float32), *states], readable(h, x))
    like = (np.zeros((1, batch, hidden), np.float32), *states)
    _, _, c = arm.run(isa, "lltm_int8", inputs, {}, like)
    assert np.array_equal(c.astype(np.int64) - 2**22, sums)


def test_a_processor_without_the_dot_product(kernels: Kernels, old_arm: Emulated) -> None:
    """The best set there is neon: it runs, and the other is refused."""
    rng = np.random.default_rng(32)
    data, made = rng.random((20, 30)).astype(np.float32), strategies.draw_tables(rng, 40, 30)
    expected = oracle.cws(data, made)
    for isa in (None, "neon", "portable"):
        got = old_arm.run(isa, "cws_dense", [data, oracle.dense_table(made)], {"hashes": 40}, expected)
        assert all(np.array_equal(a, b) for a, b in zip(got, expected, strict=True))
        inputs = RECURRENT["lltm_int8"](rng, (1, 3, 9, 17))
        states = kernels.run("portable", "lltm_int8", inputs)
        assert far(old_arm.run(isa, "lltm_int8", inputs, {}, states), states) < LIMIT
    refused = old_arm.call("cws_dense", "in", "out", "neondot")
    assert refused.returncode != 0
    assert "does not have that set" in refused.stderr
