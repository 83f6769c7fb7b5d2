"""What can be said of samples: estimates with intervals, what differs, and what cannot be told apart.

The unit of variation is the start, that is the process: two starts of one bundle differ by 1 % and now and then by 60 %
for as long as they live, while the samples of one start come in bursts and repeat each other. So a start gives one
number, its own median for instance, and the interval comes from how these numbers differ. The typical start is meant,
the median one; `Summary.spread` tells how far the others are from it. docs/latency.md gives the reasons, and what the
intervals cover in simulations.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median as middle
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from deploypipe.profile.receipt import Receipt, Start

    Array = np.ndarray[Any, Any]
    Values = Callable[[Iterable[Start]], list[float]]

CONFIDENCE = 0.95
TAIL = (1 - CONFIDENCE) / 2
# Samples of all starts together below which a percentile is not given, as MLPerf's early stopping has them.
FLOORS: Mapping[float, int] = {0.9: 64, 0.99: 662}
# Of that in the typical start: there its slowest sample is as often above the percentile as below.
STARTS_OF_FLOOR = 10
# From here on the slowest and the fastest start enclose the median often enough; below, logarithms are taken as normal.
FEWEST_ORDERED = 6
# Standard errors that belong to a noise floor.
DOUBT = 2.0


@dataclass(frozen=True)
class Estimate:
    """A number and its 95 % interval.

    Attributes:
        value: The estimate.
        low: Lower end.
        high: Upper end.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Summary:
    """What the starts of a receipt say.

    Attributes:
        median: Of one inference, nanoseconds.
        p90: 90th percentile, nanoseconds; None where `refused` says why.
        p99: 99th percentile, nanoseconds; None where `refused` says why.
        cold_start_ms: From the start of the process to its first answer, milliseconds; None where that is not known.
        load_ms: Opening the bundle, milliseconds.
        first_ms: The first inference, milliseconds.
        peak_mb: Most memory of the process, 10^6 bytes; None where that is not known.
        refused: `p90` or `p99` -> why it is None.
        samples: Of all starts.
        starts: Processes.
        unsettled: Starts whose medians had not settled when their samples began.
        spread: Median of the slowest start over that of the fastest.
        noise_floor: Share by which the two lanes of this bundle seem to differ; 0 where it had only one, and the floor
            is that of another bundle of its model: `noise_floors`.
    """

    median: Estimate
    p90: Estimate | None
    p99: Estimate | None
    cold_start_ms: Estimate | None
    load_ms: Estimate
    first_ms: Estimate
    peak_mb: Estimate | None
    refused: Mapping[str, str]
    samples: int
    starts: int
    unsettled: int
    spread: float
    noise_floor: float


def median(values: Sequence[float]) -> Estimate | None:
    """Returns the median of positive numbers, one for each start; None where there is none.

    From six starts on the interval assumes nothing of how they are distributed: it is that of Hettmansperger and
    Sheather (1986), between order statistics. With fewer it is Student's, of the logarithms, and wide. One start does
    not tell how starts differ: then the interval has no end.
    """
    import numpy as np

    if len(values) == 0:
        return None
    logs = np.sort(np.log(values))
    return _estimate(float(np.median(logs)), *_interval(logs))


def quantile(starts: Sequence[Sequence[int]], share: float) -> Estimate | None:
    """Returns a quantile of the times in a typical start; None where `refusal` has a reason.

    Args:
        starts: The samples of each start.
        share: 0.5 for the median, 0.9, 0.99.
    """
    return median(_quantiles(starts, share))


def refusal(starts: Sequence[Sequence[int]], share: float) -> str:
    """Returns why a quantile is not given, or an empty string."""
    counts = sorted(len(each) for each in starts if len(each))
    if not counts:
        return "it was not measured"
    floor = FLOORS.get(share, 0)
    if sum(counts) < floor:
        return f"it takes {floor} samples, and there are {sum(counts)}"
    each, typical = floor // STARTS_OF_FLOOR, counts[len(counts) // 2]
    return f"it takes {each} samples in each start, and there are {typical}" if typical < each else ""


def ratio(base: Sequence[Sequence[float]], other: Sequence[Sequence[float]]) -> Estimate:
    """Returns how many times as long `other` takes as `base`, which ran in the same rounds of one profile.

    The medians of two starts of one round are divided, which takes out what slowed the round down, and the median of
    these ratios is given. One round tells nothing: then the interval has no end.

    Args:
        base: The samples of each start, in the order of the rounds.
        other: The same of what is compared; a lane that ended early is compared as far as it goes.
    """
    return median(_ratios(base, other)) or Estimate(1.0, 0.0, math.inf)


def change(old: Sequence[float], new: Sequence[float]) -> Estimate | None:
    """Returns how many times as large positive numbers became, one for each start of two profiles.

    Rounds of different profiles do not belong together, so each old start is compared with each new one: the estimate
    of Hodges and Lehmann, with the interval that belongs to the test of Mann and Whitney. None where there are fewer
    than four starts on each side.
    """
    import numpy as np

    logs = np.sort(np.subtract.outer(np.log(new), np.log(old)).ravel())
    rank = _mann_whitney(len(old), len(new))
    return _estimate(float(np.median(logs)), float(logs[rank - 1]), float(logs[-rank])) if rank else None


def distinguishable(found: Estimate, floor: float) -> bool:
    """Returns whether a ratio is another one than 1: its interval leaves 1 out, and it is beyond the noise floor."""
    return not found.low <= 1 <= found.high and _beyond(found.value) > floor


def noise_floor(starts: Sequence[Sequence[float]], twin: Sequence[Sequence[float]]) -> float:
    """Returns the share by which a bundle seems to differ from itself within a profile: 0.02 is 2 %.

    Both lanes are the same bundle in the same rounds, so their ratio is 1, and whatever else is measured is noise. The
    floor is how far the median ratio is from 1, and twice its error beyond that. A slow start is in neither: it widens
    the interval of whatever it is part of. Fewer than two rounds tell nothing: the floor is infinite.
    """
    import numpy as np

    logs = np.log(_ratios(starts, twin))
    return math.expm1(abs(float(np.median(logs))) + DOUBT * _error(logs)) if len(logs) > 1 else math.inf


def samples(starts: Iterable[Start]) -> list[Sequence[int]]:
    """Returns the nanoseconds of each start."""
    return [each.samples_ns for each in starts]


def medians(starts: Iterable[Start]) -> list[float]:
    """Returns the median of each start, nanoseconds."""
    return _medians(samples(starts))


def tails(starts: Iterable[Start]) -> list[float]:
    """Returns the 90th percentile of each start, nanoseconds; nothing where `refusal` has a reason."""
    return _quantiles(samples(starts), 0.9)


def cold_starts(starts: Iterable[Start]) -> list[float]:
    """Returns milliseconds from the start of each process to its first answer, where they are known."""
    return [each.process_ms + each.first_ns / 1e6 for each in starts if each.process_ms is not None]


def peaks(starts: Iterable[Start]) -> list[float]:
    """Returns the most memory of each process, 10^6 bytes, where it is known."""
    return [each.peak_mb for each in starts if each.peak_mb is not None]


def noise_floors(receipts: Iterable[Receipt], values: Values = medians) -> dict[str, float]:
    """Returns the noise floor of each model on a device of which a bundle has a second lane of two rounds or more.

    Args:
        receipts: Of the device.
        values: Gives a number of each start: `medians`, `tails`, `cold_starts`, or `peaks`.
    """
    twins = {each.bundle.model: each for each in receipts if each.twin}
    floors = {
        name: noise_floor(*(_single(values(lane)) for lane in (each.starts, each.twin))) for name, each in twins.items()
    }
    return {name: floor for name, floor in floors.items() if math.isfinite(floor)}


def drift(receipts: Iterable[Receipt], values: Values = medians) -> float:
    """Returns the share by which a device may change between two profiles; 0 where it was not measured.

    All starts of the second half of the rounds are compared with those of the first half. `ratio` takes out what a
    round shares; between two profiles nothing does. From the middle of one to the middle of the next is twice as far as
    from half to half, so it is twice the difference of the halves, and twice its error beyond that.

    Args:
        receipts: Of the device.
        values: Gives a number of each start: `medians`, `tails`, `cold_starts`, or `peaks`.
    """
    import numpy as np

    lanes = [np.log(values(lane)) for each in receipts for lane in (each.starts, each.twin) if len(lane) > 1]
    halves = [np.array_split(lane - np.median(lane), 2) for lane in lanes if len(lane) > 1]
    if not halves:
        return 0.0
    first, second = (np.concatenate(half) for half in zip(*halves, strict=True))
    apart = abs(float(np.median(second) - np.median(first)))
    return math.expm1(2 * apart + DOUBT * math.hypot(_error(first), _error(second)))


def summary(receipt: Receipt) -> Summary:
    """Sums up the starts of a receipt; its twin counts for the noise floor only.

    Raises:
        ValueError: It has no samples.
    """
    starts = receipt.starts
    times, middles = samples(starts), medians(starts)
    typical = quantile(times, 0.5)
    load, first = median([start.load_ms for start in starts]), median([start.first_ns / 1e6 for start in starts])
    if typical is None or load is None or first is None:
        raise ValueError(f"{receipt.bundle.name} has no samples")
    refused = {"p90": refusal(times, 0.9), "p99": refusal(times, 0.99)}
    return Summary(
        median=typical,
        p90=quantile(times, 0.9),
        p99=quantile(times, 0.99),
        cold_start_ms=median(cold_starts(starts)),
        load_ms=load,
        first_ms=first,
        peak_mb=median(peaks(starts)),
        refused={name: reason for name, reason in refused.items() if reason},
        samples=sum(map(len, times)),
        starts=len(starts),
        unsettled=sum(not start.settled for start in starts),
        spread=max(middles) / min(middles),
        noise_floor=noise_floor(times, samples(receipt.twin)) if receipt.twin else 0.0,
    )


def _quantiles(starts: Sequence[Sequence[int]], share: float) -> list[float]:
    import numpy as np

    told = [] if refusal(starts, share) else [each for each in starts if len(each)]
    return [float(np.quantile(each, share, method="median_unbiased")) for each in told]


def _single(values: Iterable[float]) -> list[Sequence[float]]:
    return [(each,) for each in values]


def _ratios(base: Sequence[Sequence[float]], other: Sequence[Sequence[float]]) -> list[float]:
    pairs = [pair for pair in zip(base, other, strict=False) if all(map(len, pair))]
    return [ours / theirs for theirs, ours in map(_medians, pairs)]


def _medians(starts: Sequence[Sequence[float]]) -> list[float]:
    return [float(middle(each)) for each in starts if len(each)]


def _beyond(value: float) -> float:
    """Returns by what share a ratio is off 1, the same for twice as much and for half."""
    return max(value, 1 / value) - 1 if value else math.inf


def _error(logs: Array) -> float:
    """Returns the standard error of a median, from the median deviation, which slow starts do not move."""
    import numpy as np
    from scipy.special import ndtri

    deviation = np.median(np.abs(logs - np.median(logs))) / ndtri(0.75)
    return float(deviation) * math.sqrt(math.pi / 2 / len(logs))


def _estimate(value: float, low: float, high: float) -> Estimate:
    return Estimate(math.exp(value), math.exp(low), math.exp(high))


def _interval(values: Array) -> tuple[float, float]:
    """Returns the interval of the median of sorted values."""
    if len(values) == 1:
        return -math.inf, math.inf
    return _ordered(values) if len(values) >= FEWEST_ORDERED else _student(values)


def _ordered(values: Array) -> tuple[float, float]:
    rank, inwards = _rank(len(values))
    low = values[rank - 1] + inwards * (values[rank] - values[rank - 1])
    high = values[-rank] - inwards * (values[-rank] - values[-rank - 1])
    return float(low), float(high)


@functools.cache
def _rank(count: int) -> tuple[int, float]:
    """Returns the last rank at which an interval covers enough, and what share of the way to the next one it begins."""
    import numpy as np
    from scipy.special import bdtr

    covers = 1 - 2 * bdtr(np.arange(count // 2), count, 0.5)  # from each rank to the same one from above
    rank = int(np.sum(covers >= CONFIDENCE))
    excess = float((covers[rank - 1] - CONFIDENCE) / (covers[rank - 1] - covers[rank]))
    return rank, (count - rank) * excess / (rank + (count - 2 * rank) * excess)


def _student(values: Array) -> tuple[float, float]:
    import numpy as np
    from scipy.special import stdtrit

    half = stdtrit(len(values) - 1, 1 - TAIL) * np.std(values, ddof=1) / math.sqrt(len(values))
    center = np.mean(values)
    return float(center - half), float(center + half)


def _mann_whitney(old: int, new: int) -> int:
    """Returns the rank of the difference at which the interval begins, rounded to the safe side; 0 where none does."""
    from scipy.special import ndtri

    deviation = math.sqrt(old * new * (old + new + 1) / 12)
    return max(0, math.floor(old * new / 2 + float(ndtri(TAIL)) * deviation))
