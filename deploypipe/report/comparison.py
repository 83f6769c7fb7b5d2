"""What became slower or larger between two profiles, and what cannot be told apart; docs/latency.md has the rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median

from deploypipe.errors import DeployError
from deploypipe.profile import statistics
from deploypipe.profile.receipt import DeviceReceipts, Instructions, Protocol, Receipt, Report, Start
from deploypipe.profile.statistics import Estimate
from deploypipe.report import shifts
from deploypipe.report.rows import Row, Status, Unit, judged
from deploypipe.report.shifts import Shift


@dataclass(frozen=True)
class Comparison:
    """Two reports beside each other.

    Attributes:
        margin: Share by which a figure may grow.
        rows: Every figure that both have.
        notes: What was not compared, and what to bear in mind: sentences.
        broken: Bundles that were measured and now fail: sentences.
        shifts: What nearly all bundles of a device did together.
    """

    margin: float
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    broken: tuple[str, ...] = ()
    shifts: tuple[Shift, ...] = ()

    @property
    def worse(self) -> bool:
        """Something became worse beyond doubt: a figure, all bundles together, or one that fails now."""
        together = any(shift.status == "regression" for shift in self.shifts)
        return together or bool(self.of("regression") or self.broken)

    def of(self, status: Status) -> list[Row]:
        """Returns the rows of a status."""
        return [row for row in self.rows if row.status == status]


@dataclass(frozen=True)
class _Figure:
    name: str
    unit: Unit
    values: Callable[[Iterable[Start]], list[float]]


_FIGURES = (
    _Figure("latency", "ns", statistics.medians),
    _Figure("p90", "ns", statistics.tails),
    _Figure("cold start", "ms", statistics.cold_starts),
    _Figure("peak memory", "MB", statistics.peaks),
)


def compare(old: Report, new: Report, margin: float) -> Comparison:
    """Compares two reports.

    Args:
        old: What is compared with.
        new: What may have become worse.
        margin: Share by which a figure may grow: 0.05.

    Raises:
        DeployError: They were measured in different ways, or have no bundle in common.
    """
    _check_protocols(old.protocol, new.protocol)
    rows: list[Row] = []
    together: list[Shift] = []
    broken: list[str] = []
    notes = list(_missing("Device ", _names(old), _names(new)))
    after = {device.name: device for device in new.devices}
    for device in old.devices:
        if device.name in after:
            both = _Both(device, after[device.name], margin)
            measured = list(both.rows())
            moved = shifts.of(device.name, measured, margin)
            rows += shifts.beside(measured, moved, margin)
            together += moved
            notes += [*both.notes(), *shifts.doubts(device.name, measured)]
            broken += both.broken()
    rows += _sizes(old, new, margin)
    if not rows:
        raise DeployError("The reports have no bundle in common", "Profile the same bundles again.")
    return Comparison(margin, tuple(rows), tuple(notes), tuple(broken), tuple(together))


@dataclass(frozen=True)
class _Both:
    """A device in both reports."""

    old: DeviceReceipts
    new: DeviceReceipts
    margin: float

    def rows(self) -> Iterator[Row]:
        """Compares what was measured, unless it was on another processor."""
        if not self._other_processor():
            for before, after in self._pairs():
                yield from self._measured(before, after)

    def notes(self) -> Iterator[str]:
        """Says what is not compared."""
        if other := self._other_processor():
            yield f"On {self.old.name}, only sizes are compared: its processor {other}."
        names = [[receipt.bundle.name for receipt in device.receipts] for device in (self.old, self.new)]
        yield from _missing(f"On {self.old.name}, ", *names)
        for before, after in self._pairs():
            if before.status != after.status and not _breaks(before, after):
                yield self._turned(before, after)

    def broken(self) -> Iterator[str]:
        """Says which bundles fail that did not."""
        for before, after in self._pairs():
            if _breaks(before, after):
                yield self._turned(before, after)

    def _turned(self, before: Receipt, after: Receipt) -> str:
        reason = after.reason or before.reason
        return f"On {self.old.name}, {after.bundle.name} was {before.status} and is {after.status}: {reason}"

    def _pairs(self) -> list[tuple[Receipt, Receipt]]:
        after = {receipt.bundle.name: receipt for receipt in self.new.receipts}
        return [(each, after[each.bundle.name]) for each in self.old.receipts if each.bundle.name in after]

    def _other_processor(self) -> str:
        old, new = _processor(self.old), _processor(self.new)
        return f"was {old} and is {new}" if old and new and old != new else ""

    def _measured(self, before: Receipt, after: Receipt) -> Iterator[Row]:
        counts = _counts(before.instructions), _counts(after.instructions)
        if all(counts):
            yield self._row(before, "instructions", "instructions", *counts, _exact(*counts), 0.0)
        for figure in _FIGURES:
            old, new = figure.values(before.starts), figure.values(after.starts)
            if old and new:
                floor = self._floors[figure.name][before.bundle.model]
                yield self._row(before, figure.name, figure.unit, old, new, statistics.change(old, new), floor)

    @cached_property
    def _floors(self) -> dict[str, dict[str, float]]:
        """By figure and model: by what the same build may differ from itself."""
        return {figure.name: _floors(figure, self.old, self.new) for figure in _FIGURES}

    def _row(
        self,
        receipt: Receipt,
        figure: str,
        unit: Unit,
        old: Sequence[float],
        new: Sequence[float],
        ratio: Estimate | None,
        floor: float,
    ) -> Row:
        status = judged(ratio, floor, self.margin)
        return Row(self.old.name, receipt.bundle.name, figure, unit, median(old), median(new), ratio, floor, status)


def _breaks(before: Receipt, after: Receipt) -> bool:
    return before.status == "measured" and after.status == "failed"


def _floors(figure: _Figure, *devices: DeviceReceipts) -> dict[str, float]:
    """Returns the most of the drift of the device and of the noise of each model, in both profiles."""
    drift = max(statistics.drift(device.receipts, figure.values) for device in devices)
    floors = {receipt.bundle.model: drift for device in devices for receipt in device.receipts}
    for device in devices:
        for model, noise in statistics.noise_floors(device.receipts, figure.values).items():
            floors[model] = max(floors[model], noise)
    return floors


def _sizes(old: Report, new: Report, margin: float) -> Iterator[Row]:
    """Compares artifacts, which are the same on each device."""
    theirs, ours = _artifacts(old), _artifacts(new)
    for name in (each for each in theirs if each in ours):
        ratio = _exact([theirs[name]], [ours[name]])
        status = judged(ratio, 0, margin)
        yield Row("", name, "artifact", "bytes", theirs[name], ours[name], ratio, 0, status)


def _artifacts(report: Report) -> dict[str, int]:
    receipts = (receipt for device in report.devices for receipt in device.receipts)
    return {receipt.bundle.name: receipt.bundle.artifact_bytes for receipt in receipts}


def _exact(old: Sequence[int], new: Sequence[int]) -> Estimate:
    """Returns the ratio of numbers that hardly differ from run to run, with all that it may be."""
    return Estimate(median(new) / median(old), min(new) / max(old), max(new) / min(old))


def _counts(found: Instructions | None) -> Sequence[int]:
    return found.per_inference if found else ()


def _processor(device: DeviceReceipts) -> str:
    return device.emulates or (device.facts.cpu if device.facts else "")


def _names(report: Report) -> list[str]:
    return [device.name for device in report.devices]


def _missing(where: str, old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    yield from (f"{where}{name} is in the old report only." for name in old if name not in new)
    yield from (f"{where}{name} is in the new report only." for name in new if name not in old)


def _check_protocols(old: Protocol, new: Protocol) -> None:
    theirs, ours = old.model_dump(), new.model_dump()
    apart = [f"{name} {theirs[name]:g} and {ours[name]:g}" for name in theirs if theirs[name] != ours[name]]
    if apart:
        raise DeployError(
            f"The reports were measured in different ways: {', '.join(apart)}", "Profile both with the same options."
        )
