"""What nearly all bundles of a device did together, between two profiles.

A device that was busier makes each bundle slower by about as much, and so does a change of what they all share. Which
of the two it was cannot be told from the bundles; that none of them stands out, can. So where nearly all of many
bundles went one way, the typical one is a figure of its own, and each bundle is judged beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from deploypipe.profile import statistics
from deploypipe.profile.statistics import Estimate
from deploypipe.report.rows import Row, Status, judged

# So many bundles at least, and the share of them that went one way: by chance eight do once in 128 times. With fewer, a
# change of some of them would pass for one of the device.
FEWEST, MOST = 8, 0.9
# Of fewer bundles, so many that all became slower are a reason to doubt the device.
_DOUBTFUL = 3


@dataclass(frozen=True)
class Shift:
    """A figure that grew or shrank for nearly all bundles of a device.

    Attributes:
        device: Its name.
        figure: As in `Row`.
        bundles: Those that were compared.
        together: Those of them that went that way.
        ratio: How many times as much the typical bundle became.
        floor: Share by which the device may change between two profiles.
        status: As in `Row`.
    """

    device: str
    figure: str
    bundles: int
    together: int
    ratio: Estimate
    floor: float
    status: Status

    def describe(self) -> str:
        """Returns it as a sentence."""
        way, busy = ("grew", "busier") if self.ratio.value > 1 else ("shrank", "less busy")
        ends = " to ".join(f"{end:.3f}" for end in (self.ratio.low, self.ratio.high))
        return (
            f"On {self.device}, {self.figure} {way} for {self.together} of {self.bundles} bundles, "
            f"{self.ratio.value:.3f} times for the typical one ({ends}, noise {100 * self.floor:.1f} %). "
            f"The device was {busy}, or what they share has changed: profile the old build again. "
            "Each bundle is judged beside that."
        )


def of(device: str, rows: Sequence[Row], margin: float) -> list[Shift]:
    """Finds the figures of a device in which nearly all bundles went one way.

    Args:
        device: Its name.
        rows: Of the device.
        margin: Share by which a figure may grow.
    """
    figures = dict.fromkeys(row.figure for row in rows if row.figure != "instructions")
    found = (_shift(device, name, [row for row in rows if row.figure == name], margin) for name in figures)
    return [each for each in found if each]


def beside(rows: Sequence[Row], shifts: Sequence[Shift], margin: float) -> list[Row]:
    """Returns the rows, each judged by what it did beyond the shift of its figure."""
    ratios = {each.figure: each.ratio for each in shifts}
    return [_beside(row, ratios[row.figure], margin) if row.figure in ratios else row for row in rows]


def doubts(device: str, rows: Sequence[Row]) -> Iterator[str]:
    """Doubts a device on which none of a few bundles kept its latency."""
    ratios = [row.ratio for row in rows if row.figure == "latency" and row.ratio]
    if _DOUBTFUL <= len(ratios) < FEWEST and all(ratio.low > 1 for ratio in ratios):
        least, most = (100 * (pick(ratio.value for ratio in ratios) - 1) for pick in (min, max))
        yield (
            f"On {device}, all {len(ratios)} bundles became slower, by {least:.0f} to {most:.0f} %. "
            "The device may have been busier: profile the old build again."
        )


def _shift(device: str, figure: str, rows: Sequence[Row], margin: float) -> Shift | None:
    told = [(row.ratio.value, row.floor) for row in rows if row.ratio]
    typical = statistics.median([ratio for ratio, _ in told])
    if len(told) < FEWEST or typical is None or typical.low <= 1 <= typical.high:
        return None
    together = sum((ratio > 1) == (typical.value > 1) for ratio, _ in told if ratio != 1)
    if together < MOST * len(told):
        return None
    floor = min(floor for _, floor in told)
    return Shift(device, figure, len(told), together, typical, floor, judged(typical, floor, margin))


def _beside(row: Row, shift: Estimate, margin: float) -> Row:
    if row.ratio is None:
        return row
    rest = Estimate(row.ratio.value / shift.value, row.ratio.low / shift.high, row.ratio.high / shift.low)
    return replace(row, status=judged(rest, row.floor, margin), shift=shift.value)
