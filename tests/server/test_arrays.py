"""Tensors of every datatype survive JSON and bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from deploypipe.triton.datatypes import DATATYPES


def edges(dtype: str) -> Any:
    """The extreme values of a dtype."""
    if dtype == "bool":
        return np.array([[True], [False]])
    limits = np.iinfo(dtype) if np.dtype(dtype).kind in "iu" else np.finfo(dtype)
    return np.array([[limits.min], [limits.max]], dtype)


@pytest.mark.parametrize("dtype", DATATYPES)
def test_every_datatype_survives(dtype: str) -> None:
    from server import arrays

    array = edges(dtype)
    known = arrays.dtype_of("x", DATATYPES[dtype])
    by_bytes = arrays.from_bytes("x", known, [2, 1], memoryview(arrays.to_bytes(array)))
    by_json = arrays.from_json("x", known, [2, 1], arrays.to_json("x", array))
    for found in (by_bytes, by_json):
        assert found.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(found, array)
        assert found.flags.writeable
        assert found.flags.aligned


@pytest.mark.parametrize(
    ("datatype", "data"),
    [("UINT8", [256]), ("INT8", [-129]), ("INT64", [1.5]), ("INT64", [2**63]), ("BOOL", [1]), ("FP16", [70000])],
)
def test_numbers_that_do_not_fit_are_refused(datatype: str, data: list[Any]) -> None:
    from server import arrays
    from server.errors import RefusedError

    with pytest.raises(RefusedError, match="do not fit"):
        arrays.from_json("x", arrays.dtype_of("x", datatype), [1], data)


def test_a_byte_that_is_no_boolean_is_refused() -> None:
    from server import arrays
    from server.errors import RefusedError

    with pytest.raises(RefusedError, match="Send 0 or 1"):
        arrays.from_bytes("x", arrays.dtype_of("x", "BOOL"), [2], memoryview(b"\x01\x02"))


def test_an_output_that_json_cannot_hold_is_offered_as_bytes() -> None:
    from server import arrays
    from server.errors import RefusedError

    with pytest.raises(RefusedError, match="Ask for it as binary data"):
        arrays.to_json("y", np.array([1.0, np.inf]))
