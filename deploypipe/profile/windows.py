"""A long run in windows of a second."""

from __future__ import annotations

from collections.abc import Sequence

from deploypipe.profile.receipt import Sustained, Window

# Of one process; it keeps 8 bytes of each.
MOST_RUNS = 5_000_000
_WIDTH_NS = 1_000_000_000


def sustained(samples_ns: Sequence[int]) -> Sustained:
    """Cuts a run into seconds of its own time; the last one, which is not whole, counts if it is the only one.

    Args:
        samples_ns: Nanoseconds of each run, one after the other.
    """
    import numpy as np

    taken = np.asarray(samples_ns)
    ends = np.cumsum(taken)
    numbers = (ends - taken) // _WIDTH_NS
    whole = np.arange(max(int(ends[-1] // _WIDTH_NS), 1))
    return Sustained(
        seconds=float(ends[-1]) / 1e9,
        windows=tuple(_window(int(each), taken[numbers == each]) for each in whole if (numbers == each).any()),
    )


def _window(number: int, samples: Sequence[int]) -> Window:
    import numpy as np

    return Window(at_s=number * _WIDTH_NS / 1e9, runs=len(samples), median_ns=int(np.median(samples)))
