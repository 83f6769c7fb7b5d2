"""Where the bundles of a device stand to each other, and what of it is noise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from deploypipe.profile.receipt import DeviceReceipts, Receipt, Report, Start

if TYPE_CHECKING:
    from deploypipe.profile.statistics import Estimate, Summary

Tone = Literal["", "best", "same"]


@dataclass(frozen=True)
class Standing:
    """A bundle beside the fastest one of its model.

    Attributes:
        tone: `best`: the fastest; `same`: cannot be told apart from it; empty: slower.
        ratio: Its time over that of the fastest; None for the fastest itself.
    """

    tone: Tone
    ratio: Estimate | None = None


@dataclass(frozen=True)
class Measured:
    """A bundle with samples on a device.

    Attributes:
        receipt: Its samples.
        floor: Share by which two bundles of its model must differ there to be told apart.
    """

    receipt: Receipt
    floor: float = 0.0

    @cached_property
    def summary(self) -> Summary:
        """What its samples say."""
        from deploypipe.profile import statistics

        return statistics.summary(self.receipt)

    @property
    def name(self) -> str:
        """Of the bundle."""
        return self.receipt.bundle.name

    @property
    def median(self) -> float:
        """Nanoseconds of one inference."""
        return self.summary.median.value

    @property
    def sound(self) -> bool:
        """Whether it was measured to the end, and its outputs are those of the model."""
        return self.receipt.status == "measured" and (self.receipt.verdict is None or self.receipt.verdict.passed)


@dataclass(frozen=True)
class Timed:
    """Everything of a report that has a latency.

    Attributes:
        devices: By the name of the device and of the model.
    """

    devices: dict[str, dict[str, list[Measured]]]

    @classmethod
    def of(cls, report: Report) -> Timed:
        """Sums up each receipt once."""
        return cls({device.name: _by_model(device) for device in report.devices})

    def on(self, device: DeviceReceipts) -> dict[str, list[Measured]]:
        """Returns what was timed on a device, by model."""
        return self.devices.get(device.name, {})

    def find(self, device: DeviceReceipts, bundle: str) -> Measured | None:
        """Returns what was timed of a bundle on a device."""
        every = (each for bundles in self.on(device).values() for each in bundles)
        return next((each for each in every if each.name == bundle), None)


def _by_model(device: DeviceReceipts) -> dict[str, list[Measured]]:
    from deploypipe.profile import statistics

    floors = statistics.noise_floors(device.receipts)
    found: dict[str, list[Measured]] = {}
    for receipt in device.receipts:
        if any(start.samples_ns for start in receipt.starts):
            model = receipt.bundle.model
            floor = floors.get(model, max(floors.values(), default=0.0))
            found.setdefault(model, []).append(Measured(receipt, floor))
    return found


def fastest(bundles: Sequence[Measured]) -> Measured:
    """Returns the fastest bundle of a model; one whose outputs are wrong is that only where all others are, too."""
    return min(bundles, key=lambda bundle: (not bundle.sound, bundle.median))


def standings(bundles: Sequence[Measured]) -> dict[str, Standing]:
    """Returns how each bundle of a model stands to the fastest, by its name."""
    best = fastest(bundles)
    tone: Tone = "best" if len(bundles) > 1 else ""
    return {each.name: Standing(tone) if each is best else _beside(best, each) for each in bundles}


def _beside(best: Measured, other: Measured) -> Standing:
    from deploypipe.profile import statistics

    rounds = {start.round for start in best.receipt.starts} & {start.round for start in other.receipt.starts}
    ratio = statistics.ratio(_of(best.receipt.starts, rounds), _of(other.receipt.starts, rounds))
    return Standing("" if statistics.distinguishable(ratio, other.floor) else "same", ratio)


def _of(starts: Iterable[Start], rounds: set[int]) -> list[tuple[int, ...]]:
    return [start.samples_ns for start in sorted(starts, key=lambda start: start.round) if start.round in rounds]


def tones(bundles: Sequence[Measured], figure: Callable[[Summary], Estimate | None]) -> dict[str, Tone]:
    """Returns how another figure of each bundle stands to the smallest of the model.

    Those whose intervals overlap with that of the smallest cannot be told apart from it. A bundle whose outputs are
    wrong is none of them.
    """
    known = {bundle.name: estimate for bundle in bundles if bundle.sound and (estimate := figure(bundle.summary))}
    if len(known) < 2:
        return {}
    best = min(known, key=lambda name: known[name].value)
    return {
        name: "best" if name == best else "same" if estimate.low <= known[best].high else ""
        for name, estimate in known.items()
    }
