"""A figure in two reports, and what is said of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from deploypipe.profile import statistics
from deploypipe.profile.statistics import Estimate

Unit = Literal["ns", "ms", "MB", "instructions", "bytes"]
Status = Literal["regression", "improvement", "changed", "same", "unknown"]


@dataclass(frozen=True)
class Row:
    """A figure of a bundle on a device, in both reports.

    Attributes:
        device: Its name; empty for the artifact, which is the same on each.
        bundle: Its name.
        figure: `latency` (the median), `p90`, `cold start`, `peak memory`, `instructions` of an inference, or
            `artifact`.
        unit: Of `old` and `new`; `MB` are 10^6 bytes.
        old: Its median over the starts.
        new: The same afterwards.
        ratio: How many times as much it became; None where there are too few starts to tell.
        floor: Share by which it may differ from itself in these profiles.
        status: `regression` or `improvement`: beyond the margin, without doubt; `changed`: without doubt, but perhaps
            within the margin; `same`: cannot be told apart; `unknown`: there are too few starts.
        shift: How many times as much the typical bundle of the device became, where nearly all went that way; the
            figure is judged beside that.
    """

    device: str
    bundle: str
    figure: str
    unit: Unit
    old: float
    new: float
    ratio: Estimate | None
    floor: float
    status: Status
    shift: float = 1.0


def judged(ratio: Estimate | None, floor: float, margin: float) -> Status:
    """Says what a ratio means.

    Args:
        ratio: How many times as much a figure became; None where there are too few starts.
        floor: Share by which it may differ from itself.
        margin: Share by which it may grow.
    """
    if ratio is None:
        return "unknown"
    if not statistics.distinguishable(ratio, floor):
        return "same"
    if ratio.low > 1 + margin:
        return "regression"
    return "improvement" if ratio.high < 1 / (1 + margin) else "changed"
