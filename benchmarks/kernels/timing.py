"""Times lanes against each other: round after round, in random order, after their outputs were compared."""

from __future__ import annotations

import gc
import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.kernels.stats import Array
from deploypipe.errors import VerdictError
from deploypipe.parity import metric_for

Outputs = Sequence[np.ndarray[Any, Any]]
Clock = Callable[[], float]

# A sample lasts at least so long; shorter ones would measure the clock and the call.
SAMPLE_SECONDS = 0.002
# A lane that is slower sits rounds out, so that it takes no longer than this in each on average.
ROUND_SECONDS = 0.25
# A lane that is faster runs once, untimed, before each sample.
_UNTIMED_SECONDS = 0.05
_MOST_REPEATS = 1_000_000
_WARM_RUNS = 5
_WARM_SECONDS = 0.1


def _nothing() -> None:
    return None


@dataclass(frozen=True)
class Lane:
    """One way to do the work.

    Attributes:
        name: Unique within a case.
        run: Does the work so many times.
        result: The outputs of the work, to be compared with those of the other lanes of the group.
        group: Lanes of one group compute the same; those of different groups only as much.
        limit: The largest distance from the first lane of the group (`deploypipe.parity`).
        prepare: Called before each sample, outside the time.
    """

    name: str
    run: Callable[[int], object]
    result: Callable[[], Outputs] | None = None
    group: str = ""
    limit: float = 1e-4
    prepare: Callable[[], None] = _nothing


def repeat(call: Callable[[], object]) -> Callable[[int], object]:
    """Makes a function that calls another so many times, as a user's loop does."""

    def run(times: int) -> None:
        for _ in range(times):
            call()

    return run


def check(lanes: Sequence[Lane]) -> None:
    """Compares the outputs of all lanes of a group with those of its first.

    Raises:
        VerdictError: They differ by more than the lane's limit.
    """
    expected: dict[str, tuple[str, Outputs]] = {}
    for lane in lanes:
        if lane.result is None:
            continue
        lane.prepare()
        # Copies: a lane may return views of arrays that its next run overwrites.
        outputs = [np.array(array) for array in lane.result()]
        first, wanted = expected.setdefault(lane.group, (lane.name, outputs))
        _compare(lane, outputs, first, wanted)


def _compare(lane: Lane, outputs: Outputs, first: str, expected: Outputs) -> None:
    for number, (output, wanted) in enumerate(zip(outputs, expected, strict=True)):
        same_shape = output.shape == wanted.shape
        distance = metric_for(wanted).distance(output, wanted) if same_shape else math.inf
        if not distance <= lane.limit:
            raise VerdictError(
                f"'{lane.name}' does not compute what '{first}' does: output {number} differs by {distance:.3g}, "
                f"{lane.limit:.3g} is allowed",
                "Nothing was timed for this work.",
            )


@dataclass(frozen=True)
class Pace:
    """How often a lane runs.

    Attributes:
        repeats: Times in a sample.
        every: Rounds from one sample to the next.
        warm: Whether it runs once before each sample: the lane before has used the caches and the heap, and a run
            that takes milliseconds still notices.
    """

    repeats: int
    every: int
    warm: bool


def pace(lane: Lane, clock: Clock = time.perf_counter, sample_seconds: float = SAMPLE_SECONDS) -> Pace:
    """Finds how many runs fill a sample."""
    lane.prepare()
    _warm(lane, clock)
    repeats, seconds = 1, _timed(lane, 1, clock)
    while seconds < sample_seconds and repeats < _MOST_REPEATS:
        repeats *= 2 if seconds <= 0 else min(10, max(2, math.ceil(sample_seconds / seconds)))
        seconds = _timed(lane, repeats, clock)
    return Pace(repeats, max(1, math.ceil(seconds / ROUND_SECONDS)), seconds / repeats < _UNTIMED_SECONDS)


def _warm(lane: Lane, clock: Clock) -> None:
    """Runs a lane until it is as fast as it gets: TorchScript compiles what it has seen run."""
    end = clock() + _WARM_SECONDS
    for _ in range(_WARM_RUNS):
        lane.run(1)
        if clock() > end:
            return


def interleave(
    lanes: Sequence[Lane], rounds: int, clock: Clock = time.perf_counter, sample_seconds: float = SAMPLE_SECONDS
) -> dict[str, Array]:
    """Times all lanes in every round, each time in another order.

    Returns:
        For each lane the time of one run in every round, microseconds; NaN for a round that it sat out.
    """
    order = random.Random(0)
    paces = {lane.name: pace(lane, clock, sample_seconds) for lane in lanes}
    samples = {lane.name: np.full(rounds, np.nan) for lane in lanes}
    gc.collect()
    gc.disable()
    try:
        for number in range(rounds):
            for lane in order.sample(lanes, len(lanes)):
                if number % paces[lane.name].every == 0:
                    samples[lane.name][number] = _sample(lane, paces[lane.name], clock)
    finally:
        gc.enable()
    return samples


def _sample(lane: Lane, pace: Pace, clock: Clock) -> float:
    lane.prepare()
    if pace.warm:
        lane.run(1)
    return _timed(lane, pace.repeats, clock) / pace.repeats * 1e6


def _timed(lane: Lane, repeats: int, clock: Clock) -> float:
    start = clock()
    lane.run(repeats)
    return clock() - start
