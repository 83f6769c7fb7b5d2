"""How long a bundle takes for one inference, and whether another one is faster.

A bundle runs in a process of its own with the runtime's default threads, and each run is timed there. Where a runtime
itself lives in a further process (tflite-runtime), the way there and back is part of the time.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploypipe.bundle import integrity
from deploypipe.bundle.clock import Span
from deploypipe.bundle.manifest import GOLDEN
from deploypipe.bundle.process import Worker
from deploypipe.errors import DeployError
from deploypipe.tensors import Case, load_cases

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

Measure = Callable[[Span], Sequence[float]]

# Fewer samples say too little of the slowest tenth of all runs.
ENOUGH = 100
# TorchScript compiles in its first runs; memory and threads are there after them in every runtime.
WARM_UP = Span(runs=10, least=0.1, most=1.0)
MEASURED = Span(runs=ENOUGH, least=0.5, most=5.0)
# Short, so that what slows the machine down falls on both bundles of a round.
BLOCK = Span(runs=1, least=0.02, most=0.02)
ROUNDS = 16
# Slow models stop after so many seconds, once they have so many rounds.
SECONDS, FEWEST_ROUNDS = 4.0, 8
# Two processes of one bundle differ by 1 % and now and then by 60 %, for as long as they live.
STARTS = 3
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Timing:
    """Times of single inferences.

    Attributes:
        samples_ms: Of each run in the order of the runs, milliseconds.
        warm_up: Runs before them that are not among them.
    """

    samples_ms: tuple[float, ...]
    warm_up: int = 0

    @property
    def p50(self) -> float:
        """The median, milliseconds."""
        return self._quantile(0.5)

    @property
    def p90(self) -> float | None:
        """The 90th percentile, milliseconds; None when there are too few samples to tell."""
        return self._quantile(0.9) if len(self.samples_ms) >= ENOUGH else None

    @property
    def slowest(self) -> float:
        """The longest time, milliseconds."""
        return max(self.samples_ms)

    def _quantile(self, share: float) -> float:
        import numpy as np

        return float(np.quantile(self.samples_ms, share))


@dataclass(frozen=True)
class Rounds:
    """What one start of two bundles gave: in each round some runs of the one, then some of the other, or the reverse.

    Attributes:
        base: Milliseconds of the runs of each round.
        other: The same of what is compared with it.
        warm_up: Runs of each before the first round.
    """

    base: tuple[Sequence[float], ...]
    other: tuple[Sequence[float], ...]
    warm_up: tuple[int, int] = (0, 0)

    def ratios(self) -> Array:
        """Returns for each round the ratio of the medians, `other` over `base`."""
        import numpy as np

        return np.array(
            [np.median(ours) / np.median(theirs) for theirs, ours in zip(self.base, self.other, strict=True)]
        )

    def interval(self) -> tuple[float, float]:
        """Returns the 95 % interval of the median ratio, from resampled rounds, of which there are two at least."""
        import numpy as np
        from scipy.stats import bootstrap

        found = bootstrap(
            (self.ratios(),),
            np.median,
            confidence_level=CONFIDENCE,
            method="percentile",
            rng=np.random.default_rng(0),
        ).confidence_interval
        return float(found.low), float(found.high)


@dataclass(frozen=True)
class Comparison:
    """The times of two bundles that ran in turn.

    Attributes:
        base: What is compared with.
        other: What is compared.
        ratio: Time of `other` over that of `base`: the median over all rounds of the ratio of their medians.
        low: Lower end of its interval, which covers the 95 % intervals of all starts.
        high: Upper end.
    """

    base: Timing
    other: Timing
    ratio: float
    low: float
    high: float

    @classmethod
    def of(cls, starts: Sequence[Rounds]) -> Comparison:
        """Sums up what the starts gave."""
        import numpy as np

        intervals = [rounds.interval() for rounds in starts]
        return cls(
            base=_pooled([rounds.base for rounds in starts], [rounds.warm_up[0] for rounds in starts]),
            other=_pooled([rounds.other for rounds in starts], [rounds.warm_up[1] for rounds in starts]),
            ratio=float(np.median(np.concatenate([rounds.ratios() for rounds in starts]))),
            low=min(low for low, _ in intervals),
            high=max(high for _, high in intervals),
        )

    @property
    def slower(self) -> bool:
        """Whether `other` takes longer in every start."""
        return self.low > 1

    @property
    def faster(self) -> bool:
        """Whether `other` takes less time in every start."""
        return self.high < 1


def timed(bundle: Path, inputs: Sequence[Array] | None = None) -> Timing:
    """Times a bundle: 100 runs and half a second at least, 5 seconds at most, after a warm-up.

    Args:
        bundle: A bundle for this machine.
        inputs: In the order of its inputs; those of its smallest golden vector if None.

    Raises:
        DeployError: The bundle is damaged or does not take the inputs.
        WorkerError: It does not load or run.
    """
    arrays = _golden(bundle) if inputs is None else inputs
    with Worker(bundle) as worker:
        return measured(functools.partial(worker.time, arrays))


def measured(measure: Measure) -> Timing:
    """Times what is already loaded; `measure` gives the milliseconds of runs that fill a span."""
    warm_up = len(measure(WARM_UP))
    return Timing(tuple(measure(MEASURED)), warm_up)


def compared(base: Path, other: Path, inputs: Sequence[Array] | None = None) -> Comparison:
    """Times two bundles of one model against each other, in short blocks in alternating order.

    Both are started three times, since a process may be slow for as long as it lives. A small model takes a second for
    each start, beside the time to load it.

    Args:
        base: What is compared with.
        other: What is compared.
        inputs: In the order of their inputs; those of the smallest golden vector of `base` if None.

    Raises:
        DeployError: A bundle is damaged, or the two give outputs of different shapes.
        WorkerError: A bundle does not load or run.
    """
    arrays = _golden(base) if inputs is None else inputs
    return Comparison.of([_started(base, other, arrays) for _ in range(STARTS)])


def _started(base: Path, other: Path, inputs: Sequence[Array]) -> Rounds:
    with Worker(base) as first, Worker(other) as second:
        _check_shapes(first.run(inputs), second.run(inputs))
        return interleaved(functools.partial(first.time, inputs), functools.partial(second.time, inputs))


def interleaved(base: Measure, other: Measure, clock: Callable[[], float] = time.monotonic) -> Rounds:
    """Times two things in rounds of a block each, every second round the other way about.

    Args:
        base: Gives the milliseconds of runs that fill a span.
        other: The same of what is compared with it.
        clock: Gives seconds; slow things stop early.
    """
    measures = (base, other)
    warm_up = (len(base(WARM_UP)), len(other(WARM_UP)))
    blocks: tuple[list[Sequence[float]], list[Sequence[float]]] = ([], [])
    ends = clock() + SECONDS
    for number in range(ROUNDS):
        for side in (0, 1) if number % 2 == 0 else (1, 0):
            blocks[side].append(measures[side](BLOCK))
        if number + 1 >= FEWEST_ROUNDS and clock() > ends:
            break
    return Rounds(tuple(blocks[0]), tuple(blocks[1]), warm_up)


def _pooled(starts: Sequence[Sequence[Sequence[float]]], warm_up: Sequence[int]) -> Timing:
    return Timing(tuple(each for blocks in starts for block in blocks for each in block), sum(warm_up))


def smallest(cases: Sequence[Case]) -> Case:
    """Returns the golden vector with the fewest input numbers, which has batch 1 where a model takes it."""
    return min(cases, key=lambda case: sum(array.size for array in case.inputs.values()))


def _golden(bundle: Path) -> list[Array]:
    manifest = integrity.check(bundle)
    cases = load_cases(bundle / GOLDEN, manifest.inputs, manifest.outputs)
    return list(smallest(cases).inputs.values())


def _check_shapes(base: Sequence[Array], other: Sequence[Array]) -> None:
    ours, theirs = ([list(array.shape) for array in outputs] for outputs in (base, other))
    if ours != theirs:
        raise DeployError(
            f"One bundle gives outputs of the shapes {ours}, the other {theirs}", "Compare bundles of one model."
        )
