"""Tensors of the protocol, as JSON or as bytes, to numpy arrays and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from deploypipe.triton.datatypes import DATATYPES

from .errors import RefusedError

Array = np.ndarray[Any, Any]

# Little-endian, whatever this machine is.
DTYPES = {name: np.dtype(dtype).newbyteorder("<") for dtype, name in DATATYPES.items()}
# What JSON may hold for the kinds of dtype: whole numbers will do for floats.
_HELD = {"b": "b", "u": "iu", "i": "iu", "f": "iuf"}


def dtype_of(name: str, datatype: str) -> np.dtype[Any]:
    """Returns the dtype of an input.

    Raises:
        RefusedError: It is none that a bundle can have.
    """
    if datatype not in DTYPES:
        raise RefusedError(400, f"Input '{name}' has the datatype {datatype!r}", f"Known are {', '.join(DTYPES)}.")
    return DTYPES[datatype]


def from_bytes(name: str, dtype: np.dtype[Any], shape: Sequence[int], data: memoryview) -> Array:
    """Copies an array out of a body: row-major, little-endian, without gaps.

    Raises:
        RefusedError: There are more or fewer bytes than the shape takes, or a boolean is neither 0 nor 1.
    """
    wanted = math.prod(shape) * dtype.itemsize
    if len(data) != wanted:
        raise RefusedError(
            400,
            f"Input '{name}' has {len(data)} bytes, and its shape {list(shape)} takes {wanted}",
            "Set binary_data_size to the bytes that are sent.",
        )
    if dtype.kind == "b" and max(data, default=0) > 1:
        raise RefusedError(400, f"Input '{name}' has a byte that is no boolean", "Send 0 or 1.")
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=True)


def from_json(name: str, dtype: np.dtype[Any], shape: Sequence[int], data: object) -> Array:
    """Makes an array of numbers in JSON, flat or nested as the shape says.

    Raises:
        RefusedError: There are more or fewer numbers than the shape takes, or they do not fit the dtype.
    """
    array = _numbers(name, dtype, data)
    if array.size != math.prod(shape) or (array.ndim != 1 and array.shape != tuple(shape)):
        raise RefusedError(
            400,
            f"The data of input '{name}' have the shape {list(array.shape)} instead of {list(shape)}",
            "Give them flat in row-major order, or nested as the shape says.",
        )
    native = dtype.newbyteorder("=")
    if array.size and not _fits(array, native):
        raise RefusedError(
            400,
            f"The data of input '{name}' do not fit {native.name}",
            "Send numbers of its range; NaN and infinity can be sent as binary data only.",
        )
    return array.reshape(shape).astype(native)


def to_bytes(array: Array) -> bytes:
    """Returns the bytes of an array: row-major, little-endian, without gaps."""
    return array.astype(array.dtype.newbyteorder("<"), order="C", copy=False).tobytes()


def to_json(name: str, array: Array) -> list[Any]:
    """Returns the numbers of an array, flat in row-major order.

    Raises:
        RefusedError: JSON cannot hold them.
    """
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise RefusedError(
            400, f"Output '{name}' holds NaN or infinity, which JSON has not", "Ask for it as binary data."
        )
    numbers: list[Any] = array.ravel().tolist()
    return numbers


def _numbers(name: str, dtype: np.dtype[Any], data: object) -> Array:
    try:
        array = np.array(data)
        if dtype.kind == "u" and array.dtype.kind == "f":
            # Where some are beyond int64 and others not, numpy would make floats of them.
            array = _whole(np.array(data, object))
    except ValueError:
        array = np.array(None)
    if array.dtype.kind not in "biuf" or not array.ndim:
        raise RefusedError(
            400, f"The data of input '{name}' are not an array of numbers", "Give them flat in row-major order."
        )
    return array


def _whole(array: Array) -> Array:
    """Returns numbers as uint64 where all of them are whole and fit, otherwise as floats."""
    whole = all(type(number) is int and 0 <= number < 1 << 64 for number in array.flat)
    return array.astype(np.uint64 if whole else np.float64)


def _fits(array: Array, dtype: np.dtype[Any]) -> bool:
    if array.dtype.kind not in _HELD[dtype.kind]:
        return False
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return bool(int(array.min()) >= limits.min and int(array.max()) <= limits.max)
    with np.errstate(over="ignore"):
        return bool(np.isfinite(array.astype(dtype)).all())
