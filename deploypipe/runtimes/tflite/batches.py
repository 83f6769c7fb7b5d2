"""Files with a signature for each of some batches: a batch of another size is run in pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from deploypipe.errors import DeployError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

PREFIX = "batch_"

Run = Callable[[int, Sequence["Array"]], Sequence["Array"]]
"""Runs one piece, given its batch."""


def key_of(batch: int) -> str:
    """Returns the key of the signature for a batch."""
    return f"{PREFIX}{batch}"


def of(keys: Iterable[str]) -> tuple[int, ...]:
    """Returns the batches that signatures are for; none where the batch is open."""
    return tuple(sorted(int(key.removeprefix(PREFIX)) for key in keys if key.startswith(PREFIX)))


def pieces(rows: int, batches: Sequence[int]) -> list[int]:
    """Splits a number of rows into batches, the largest first.

    Raises:
        DeployError: The batches do not add up to it.
    """
    found = []
    for batch in sorted(batches, reverse=True):
        count, rows = divmod(rows, batch)
        found += [batch] * count
    if rows or not found:
        raise DeployError(
            f"The file has signatures for batches of {', '.join(map(str, batches))}, which do not add up",
            "Give a batch that they add up to, or put 1 into the target's `batches`.",
        )
    return found


def run(inputs: Sequence[Array], batches: Sequence[int], piece: Run) -> tuple[Array, ...]:
    """Runs a batch in pieces and puts the outputs together along the first axis."""
    import numpy as np

    parts, start = [], 0
    for batch in pieces(inputs[0].shape[0], batches):
        parts.append(piece(batch, [array[start : start + batch] for array in inputs]))
        start += batch
    return tuple(np.concatenate(each) for each in zip(*parts, strict=True))
