"""Everything of a report in the order in which it is shown, for the page and for the text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from deploypipe.profile.receipt import DeviceReceipts, Report
from deploypipe.report import details, emulation, figures, latency, names, standing
from deploypipe.report.standing import Measured, Timed
from deploypipe.report.tables import Cell, Group, Row, Table
from deploypipe.report.verdicts import Answer, answer


@dataclass(frozen=True)
class Section:
    """A device.

    Attributes:
        device: What was found there.
        timed: What has a latency, on every device.
        labels: Of the bundles.
    """

    device: DeviceReceipts
    timed: Timed
    labels: Mapping[str, str]

    @property
    def title(self) -> str:
        """Its name."""
        return self.device.name + (" (emulated)" if self.device.emulates else "")

    @property
    def facts(self) -> str:
        """What it is."""
        return details.facts_line(self.device)

    @cached_property
    def table(self) -> Table:
        """What was measured."""
        if self.device.emulates:
            return emulation.table(self.device, self.labels)
        return latency.table(self.device, self.timed, self.labels)

    @cached_property
    def times(self) -> Table:
        """Where the time goes."""
        return details.time_table(self.device, self.labels)

    @cached_property
    def profiles(self) -> tuple[details.Profile, ...]:
        """The operators of each bundle."""
        return details.profiles(self.device, self.labels)

    @cached_property
    def scenarios(self) -> Table:
        """Of MLPerf LoadGen."""
        return details.scenario_table(self.device, self.labels)

    @cached_property
    def troubles(self) -> tuple[details.Trouble, ...]:
        """What was not measured to the end."""
        return details.troubles(self.device)


@dataclass(frozen=True)
class Overview:
    """A report, as it is shown.

    Attributes:
        report: What was found.
        timed: What has a latency.
        labels: Of the bundles.
    """

    report: Report
    timed: Timed
    labels: Mapping[str, str]

    @classmethod
    def of(cls, report: Report) -> Overview:
        """Sums up a report."""
        shown = report.model_copy(update={"devices": tuple(map(_without_emulated_times, report.devices))})
        return cls(shown, Timed.of(shown), names.labels(shown))

    @cached_property
    def answer(self) -> Answer:
        """The verdict."""
        return answer(self.report, self.timed)

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        """One for each device."""
        return tuple(Section(device, self.timed, self.labels) for device in self.report.devices)

    @property
    def made(self) -> str:
        """When and with what."""
        when = self.report.created.replace("T", " ").removesuffix("+00:00")
        return f"{when} UTC, deploypipe {self.report.deploypipe}"

    @property
    def counts(self) -> str:
        """How much there is."""
        bundles = {receipt.bundle.name for device in self.report.devices for receipt in device.receipts}
        devices = len(self.report.devices)
        return f"{figures.counted(len(bundles), 'bundle')} on {figures.counted(devices, 'device')}"

    @cached_property
    def fastest(self) -> Table:
        """The fastest bundle of each model on each real device."""
        real = [device for device in self.report.devices if not device.emulates]
        models = [model for model in names.by_model(self.report) if any(model in self.timed.on(each) for each in real)]
        rows = tuple(Row(model, tuple(self._fastest(model, device) for device in real)) for model in models)
        return Table("model", tuple(device.name for device in real), (Group("", rows),), words=True)

    def _fastest(self, model: str, device: DeviceReceipts) -> Cell:
        bundles = self.timed.on(device).get(model)
        if not bundles:
            return Cell()
        best = standing.fastest(bundles)
        found = standing.standings(bundles)
        same = [self.labels[name] for name, each in found.items() if each.tone == "same"]
        return Cell(self._said(best), f"or {', '.join(same)}, which cannot be told apart" if same else "")

    def _said(self, best: Measured) -> str:
        median = best.summary.median
        return f"{self.labels[best.name]}, {figures.ms(median.value)} {figures.spread(median)}"

    @cached_property
    def environment(self) -> Table:
        """What each device is."""
        return details.environment_table(self.report)

    @property
    def protocol(self) -> tuple[str, ...]:
        """How it was measured."""
        return details.protocol_lines(self.report)

    @property
    def runtimes(self) -> str:
        """With what the bundles were built."""
        return details.runtimes(self.report)


def _without_emulated_times(device: DeviceReceipts) -> DeviceReceipts:
    """The time of an emulator is no latency, so nothing of it is shown."""
    if not device.emulates:
        return device
    nothing = {"starts": (), "twin": (), "points": (), "sustained": None, "operators": None, "scenarios": ()}
    receipts = tuple(receipt.model_copy(update=nothing) for receipt in device.receipts)
    return device.model_copy(update={"receipts": receipts})
