"""Timing of single runs inside the process that runs a bundle, so that no pipe is measured."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Span:
    """How long to go on.

    Attributes:
        runs: So many runs at least,
        least: and for so many seconds at least,
        most: but no run begins after so many seconds, except the first.
    """

    runs: int
    least: float
    most: float

    def ends(self, runs: int, seconds: float) -> bool:
        """Tells whether so much is enough."""
        return seconds >= self.most or (runs >= self.runs and seconds >= self.least)


def samples(run: Callable[[], object], span: Span, clock: Callable[[], int] = time.perf_counter_ns) -> Array:
    """Times each of many runs.

    Args:
        run: Runs the model once.
        span: How long to go on.
        clock: Gives nanoseconds.

    Returns:
        Nanoseconds of each run, int64.
    """
    import numpy as np

    found: list[int] = []
    gc.disable()
    try:
        started = clock()
        while not found or not span.ends(len(found), (clock() - started) / 1e9):
            before = clock()
            run()
            found.append(clock() - before)
    finally:
        gc.enable()
    return np.array(found, np.int64)
