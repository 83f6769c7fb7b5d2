"""Op libraries without a runtime."""

from __future__ import annotations

import numpy as np
import pytest

from deploypipe import native
from deploypipe.errors import DeployError


@pytest.fixture(scope="module")
def mine_alone(mine: native.OpSource) -> native.Standalone:
    return native.Standalone(native.library("standalone", mine))


def test_an_op_runs_on_arrays(mine_alone: native.Standalone) -> None:
    x = np.arange(12, dtype=np.float32).reshape(2, 6) % 5
    low, at = mine_alone.run("pool", [x], {"width": 3, "stride": 1}, threads=2)
    windows = np.lib.stride_tricks.sliding_window_view(x, 3, axis=1)
    assert np.array_equal(at, windows.argmin(axis=2))
    assert np.array_equal(low, (windows.min(axis=2) / 0.25).astype(np.int8))


def test_a_prepared_call_sees_new_values(mine_alone: native.Standalone) -> None:
    x = np.ones(3, np.float32)
    call = mine_alone.prepare("square", [x])
    call(repeats=3)
    assert call.outputs[0].tolist() == [101.0] * 3
    x[:] = 2
    call()
    assert call.outputs[0].tolist() == [104.0] * 3


def test_outputs_of_ones_own(mine_alone: native.Standalone) -> None:
    x, y = np.full(3, 2, np.float32), np.empty(3, np.float32)
    call = mine_alone.prepare("square", [x], outputs=[y])
    call()
    assert y.tolist() == [104.0] * 3
    with pytest.raises(DeployError, match="takes C-contiguous y float32"):
        mine_alone.prepare("square", [x], outputs=[np.empty(3)])
    with pytest.raises(DeployError, match="y is of another shape"):
        mine_alone.prepare("square", [x], outputs=[np.empty(4, np.float32)])()


def test_instruction_sets() -> None:
    library = native.Standalone(native.library("standalone"))
    assert library.isas[0] == "portable"
    chosen = library.isa
    try:
        for name in library.isas:
            library.use_isa(name)
            assert library.isa == name
        with pytest.raises(DeployError, match="no instruction set 'abacus'"):
            library.use_isa("abacus")
    finally:
        library.use_isa(chosen)


@pytest.mark.parametrize(
    ("name", "arrays", "message"),
    [
        ("nothing", [np.ones(3, np.float32)], "no op 'nothing'"),
        ("square", [np.ones(3)], "takes C-contiguous x float32"),
        ("square", [np.ones((3, 2), np.float32).T], "takes C-contiguous x float32"),
        ("square", [], "takes C-contiguous x float32"),
        ("pool", [np.ones(3, np.float32)], "x has 1 dimensions, not 2"),
    ],
)
def test_arrays_that_do_not_fit(
    mine_alone: native.Standalone, name: str, arrays: list[np.ndarray], message: str
) -> None:
    with pytest.raises(DeployError, match=message):
        mine_alone.run(name, arrays, {"width": 2})
