"""What a report says of the budgets and of the outputs: kept, missed, or not to be decided."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from deploypipe.profile.receipt import BundleFacts, DeviceReceipts, Receipt, Report
from deploypipe.report import figures
from deploypipe.report.standing import Measured, Timed

if TYPE_CHECKING:
    from deploypipe.profile.statistics import Estimate, Summary

Outcome = Literal["missed", "undecided", "kept"]
OUTCOMES: tuple[Outcome, ...] = ("missed", "undecided", "kept")


@dataclass(frozen=True)
class Finding:
    """One thing that was asked of a bundle.

    Attributes:
        outcome: Whether it holds.
        bundle: Its name.
        device: Where; an empty string where the device does not matter.
        sentence: What was found.
    """

    outcome: Outcome
    bundle: str
    device: str
    sentence: str


@dataclass(frozen=True)
class Line:
    """What was found of some bundles.

    Attributes:
        bundles: Their names.
        devices: Where; none where that does not matter.
        sentence: What was found.
    """

    bundles: tuple[str, ...]
    devices: tuple[str, ...]
    sentence: str


@dataclass(frozen=True)
class Answer:
    """The verdict of a whole report.

    Attributes:
        findings: Everything that was asked.
    """

    findings: tuple[Finding, ...]

    def of(self, outcome: Outcome) -> tuple[Finding, ...]:
        """Returns the findings with an outcome."""
        return tuple(finding for finding in self.findings if finding.outcome == outcome)

    def lines(self, outcome: Outcome) -> tuple[Line, ...]:
        """Returns the same in fewer lines: what was found of several bundles or devices is said once."""
        devices: dict[tuple[str, str], list[str]] = {}
        for finding in self.of(outcome):
            devices.setdefault((finding.bundle, finding.sentence), []).append(finding.device)
        bundles: dict[tuple[tuple[str, ...], str], list[str]] = {}
        for (bundle, sentence), where in devices.items():
            bundles.setdefault((tuple(where), sentence), []).append(bundle)
        return tuple(
            Line(tuple(which), tuple(filter(None, where)), sentence) for (where, sentence), which in bundles.items()
        )

    @property
    def outcome(self) -> Outcome:
        """The worst outcome; undecided where nothing was asked."""
        return next((outcome for outcome in OUTCOMES if self.of(outcome)), "undecided")

    @property
    def headline(self) -> str:
        """The verdict as a sentence without a full stop."""
        missed, open_ = len(self.of("missed")), len(self.of("undecided"))
        total = figures.counted(len(self.findings), "check")
        if missed:
            return f"{missed} of {total} failed"
        if open_:
            return f"Nothing failed; {open_} of {total} cannot be decided"
        return f"{total} passed" if self.findings else "There was nothing to judge"


def answer(report: Report, timed: Timed) -> Answer:
    """Judges budgets, outputs, and whether each bundle works where it was tried."""
    found = tuple(finding for device in report.devices for finding in _on(device, timed))
    return Answer(tuple(_of_sizes(report)) + found)


def _of_sizes(report: Report) -> Iterator[Finding]:
    """The size of an artifact is the same on every device."""
    bundles = {receipt.bundle.name: receipt.bundle for device in report.devices for receipt in device.receipts}
    for bundle in bundles.values():
        if bundle.budgets.size_mb is not None:
            yield _of_size(bundle, bundle.budgets.size_mb)


def _of_size(bundle: BundleFacts, limit: float) -> Finding:
    size = figures.megabytes(bundle.artifact_bytes)
    kept = bundle.artifact_bytes <= limit * 1e6
    sentence = f"Its artifact has {size}, {'within' if kept else 'over'} its budget of {limit:g} MB."
    return Finding("kept" if kept else "missed", bundle.name, "", sentence)


def _on(device: DeviceReceipts, timed: Timed) -> Iterator[Finding]:
    for receipt in device.receipts:
        if receipt.status == "failed":
            yield Finding("missed", receipt.bundle.name, device.name, receipt.reason)
        elif receipt.status == "lost":
            yield Finding("undecided", receipt.bundle.name, device.name, receipt.reason)
        elif receipt.status == "measured":
            yield from _of_outputs(receipt, device.name)
            yield from _of_time(receipt.bundle, device.name, timed.find(device, receipt.bundle.name))


def _of_outputs(receipt: Receipt, device: str) -> Iterator[Finding]:
    verdict = receipt.verdict
    if verdict is None:
        return
    if verdict.passed:
        yield Finding("kept", receipt.bundle.name, device, "Its outputs are those of the model.")
    else:
        why = verdict.failures[0] if verdict.failures else "its verdict failed"
        yield Finding("missed", receipt.bundle.name, device, f"Its outputs are not those of the model: {why}")


def _of_time(bundle: BundleFacts, device: str, measured: Measured | None) -> Iterator[Finding]:
    """Time counts on real devices alone."""
    limit = bundle.budgets.p90_ms
    if limit is None or measured is None:
        return
    p90 = measured.summary.p90
    outcome, sentence = _judged(p90, limit) if p90 else ("undecided", _refused(measured.summary, limit))
    yield Finding(outcome, bundle.name, device, sentence)


def _refused(summary: Summary, limit: float) -> str:
    return f"Its budget is a p90 of {limit:g} ms, which is not known: {summary.refused['p90']}."


def _judged(p90: Estimate, limit: float) -> tuple[Outcome, str]:
    said = f"Its p90 is {figures.ms(p90.value)} {figures.spread(p90)}".rstrip()
    if p90.high <= limit * 1e6:
        return "kept", f"{said}, within its budget of {limit:g} ms."
    if p90.low > limit * 1e6:
        return "missed", f"{said}, over its budget of {limit:g} ms."
    return "undecided", f"{said}; its budget of {limit:g} ms lies within that interval."
