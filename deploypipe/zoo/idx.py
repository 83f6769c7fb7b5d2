"""Reads IDX files, the form in which MNIST and its relatives are published, plain or gzipped."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploypipe.errors import DeployError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_UINT8 = 8


def read(path: Path, rank: int) -> Array:
    """Reads an array of bytes.

    Args:
        path: The file; a name that ends in `.gz` is unpacked.
        rank: Number of axes that the array must have.

    Returns:
        uint8 array of that rank.

    Raises:
        DeployError: The file cannot be read, is of another type or rank, or is cut short.
    """
    import numpy as np

    content = _content(path)
    if len(content) < 4 + 4 * rank or content[:4] != bytes((0, 0, _UINT8, rank)):
        raise DeployError(f"{path} is not an IDX file of bytes with {rank} axes", _CURE)
    shape = struct.unpack_from(f">{rank}I", content, 4)
    body = memoryview(content)[4 + 4 * rank :]
    if len(body) != math.prod(shape):
        raise DeployError(f"{path} holds {len(body)} values where its header says {math.prod(shape)}", _CURE)
    return np.frombuffer(body, np.uint8).reshape(shape)


_CURE = "Replace it by a fresh copy."


def _content(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DeployError(f"{path} cannot be read: {error}", _CURE) from None
