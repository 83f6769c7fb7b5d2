"""The smaller tables: where the time goes, scenarios, what was not measured, and in what surroundings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from deploypipe.devices.facts import DeviceFacts
from deploypipe.profile.receipt import DeviceReceipts, Operator, Operators, Report, Scenario
from deploypipe.report import figures
from deploypipe.report.tables import Cell, Group, Row, Table

Labels = Mapping[str, str]
_MOST_OPERATORS = 10


@dataclass(frozen=True)
class Profile:
    """Where the time of one bundle goes.

    Attributes:
        label: Of the bundle, with its model.
        found: By operator.
        bars: The slowest operators.
        rest: How many more there are.
    """

    label: str
    found: Operators
    bars: tuple[Bar, ...]
    rest: int


@dataclass(frozen=True)
class Bar:
    """An operator, and its share of the inference from 0 to 1."""

    operator: Operator
    share: float

    @property
    def said(self) -> str:
        """Its time and share in words."""
        return f"{figures.number(self.operator.ms)} ms, {figures.share(self.share)}"


def profiles(device: DeviceReceipts, labels: Labels) -> tuple[Profile, ...]:
    """Returns the profiles by operator of a device."""
    return tuple(
        _profile(f"{receipt.bundle.model} {labels[receipt.bundle.name]}", receipt.operators)
        for receipt in device.receipts
        if receipt.operators is not None
    )


def _profile(label: str, found: Operators) -> Profile:
    shown = found.operators[:_MOST_OPERATORS]
    whole = max(found.total_ms, sum(each.ms for each in found.operators))
    bars = tuple(Bar(each, each.ms / whole if whole else 0.0) for each in shown)
    return Profile(label, found, bars, len(found.operators) - len(shown))


def shares(found: Operators) -> dict[str, float]:
    """Returns the milliseconds of an inference by what they went to; `runtime` is outside of all operators."""
    by_kind = {
        kind: sum(each.ms for each in found.operators if each.kind == kind)
        for kind in ("custom", "delegate", "builtin")
    }
    return by_kind | {"runtime": max(0.0, found.total_ms - sum(by_kind.values()))}


def time_table(device: DeviceReceipts, labels: Labels) -> Table:
    """Returns the shares of delegates, custom ops and the runtime, and its tax over the bare kernels."""
    columns = ("profiled run", "custom ops", "delegates", "built in", "runtime itself", "bare kernels", "tax")
    found = [(receipt, receipt.operators) for receipt in device.receipts if receipt.operators is not None]
    models = dict.fromkeys(receipt.bundle.model for receipt, _ in found)
    groups = tuple(
        Group(model, tuple(_time_row(labels[r.bundle.name], ops) for r, ops in found if r.bundle.model == model))
        for model in models
    )
    note = "Profiling slows a run down. Tax: time of the custom ops in the runtime, over that of their kernels alone."
    return Table("bundle", columns, groups, (note,)).without_empty_columns()


def _time_row(label: str, found: Operators) -> Row:
    parts = shares(found)
    whole = sum(parts.values())
    cells = tuple(Cell(figures.share(ms / whole) if ms and whole else figures.NONE) for ms in parts.values())
    kernel, tax = Cell(), Cell()
    if found.kernel_ms:
        kernel = Cell(f"{figures.number(found.kernel_ms)} ms")
        tax = Cell(f"{parts['custom'] / found.kernel_ms:.2f}×") if parts["custom"] else Cell()
    return Row(label, (Cell(f"{figures.number(found.total_ms)} ms"), *cells, kernel, tax), found.how)


def scenario_table(device: DeviceReceipts, labels: Labels) -> Table:
    """Returns what MLPerf LoadGen found."""
    columns = ("result", "90th percentile", "queries", "judged")
    rows = [
        (receipt.bundle.model, _scenario_row(labels[receipt.bundle.name], scenario))
        for receipt in device.receipts
        for scenario in receipt.scenarios
    ]
    groups = tuple(Group(model, tuple(r for m, r in rows if m == model)) for model in dict.fromkeys(m for m, _ in rows))
    said = dict.fromkeys(f"{s.name}: {s.note}" for receipt in device.receipts for s in receipt.scenarios if s.note)
    notes = ("MLPerf LoadGen itself, over the bundle in Python, for seconds; a submission runs for ten minutes.", *said)
    return Table("bundle, scenario", columns, groups, notes).without_empty_columns()


def _scenario_row(label: str, found: Scenario) -> Row:
    judged = Cell("valid" if found.valid else "INVALID", "", "good" if found.valid else "bad")
    queries = Cell(f"{found.queries:,}", f"in {figures.duration(found.seconds)}")
    result = Cell(f"{figures.number(found.result)} {found.unit}")
    return Row(label, (result, _p90(found), queries, judged), found.name)


def _p90(found: Scenario) -> Cell:
    from deploypipe.profile import statistics

    if len(found.latencies_ns) < statistics.FLOORS[0.9]:
        return Cell()
    import numpy as np

    return Cell(figures.ms(float(np.quantile(found.latencies_ns, 0.9))))


@dataclass(frozen=True)
class Trouble:
    """Why some bundles were not measured to the end.

    Attributes:
        status: Of the receipts.
        bundles: What they are called.
        reason: Of all of them.
    """

    status: str
    bundles: tuple[str, ...]
    reason: str


def troubles(device: DeviceReceipts) -> tuple[Trouble, ...]:
    """Returns what was not measured to the end, a line for each reason."""
    found: dict[tuple[str, str], list[str]] = {}
    for receipt in device.receipts:
        if receipt.status != "measured":
            found.setdefault((receipt.status, receipt.reason), []).append(receipt.bundle.name)
    return tuple(Trouble(status, tuple(names), reason) for (status, reason), names in found.items())


_FACTS: tuple[tuple[str, Callable[[DeviceFacts], str]], ...] = (
    ("platform", lambda facts: facts.platform),
    ("processor", lambda facts: facts.cpu),
    ("cores", lambda facts: "" if facts.cores is None else figures.counted(facts.cores, "core")),
    ("highest frequency", lambda facts: "" if facts.mhz is None else f"{facts.mhz:,.0f} MHz"),
    ("governor", lambda facts: facts.governor),
    ("memory", lambda facts: "" if facts.memory_mb is None else f"{facts.memory_mb / 1000:.1f} GB"),
    ("system", lambda facts: facts.system),
)
_STATES: tuple[tuple[str, Callable[[DeviceFacts], str]], ...] = (
    ("load", lambda facts: "" if facts.load is None else f"{facts.load:.2f}"),
    ("temperature", lambda facts: "" if facts.celsius is None else f"{facts.celsius:.0f} °C"),
    ("battery", lambda facts: facts.battery),
)


def facts_line(device: DeviceReceipts) -> str:
    """Returns what a device is, in one line."""
    if device.facts is None:
        return "It did not answer."
    return ", ".join(filter(None, (say(device.facts) for name, say in _FACTS if name != "highest frequency")))


def environment_table(report: Report) -> Table:
    """Returns what each device is and how it fared."""
    lines = [list(_environment(device)) for device in report.devices]
    rows = (
        tuple(
            Row(title, tuple(Cell(line[at][1] or figures.NONE) for line in lines))
            for at, (title, _) in enumerate(lines[0])
            if any(line[at][1] for line in lines)
        )
        if lines
        else ()
    )
    return Table("", tuple(device.name for device in report.devices), (Group("", rows),), words=True)


def _environment(device: DeviceReceipts) -> Iterator[tuple[str, str]]:
    yield "reached by", device.transport
    yield "emulates", device.emulates
    yield from ((title, say(device.facts) if device.facts else "") for title, say in _FACTS)
    yield from ((title, _before_and_after(say, device)) for title, say in _STATES)
    yield "runtimes there", _runtimes_there(device)
    yield "profiled for", figures.duration(device.seconds)


def _runtimes_there(device: DeviceReceipts) -> str:
    """Returns the versions of the runtimes that ran bundles, which need not be those that built them."""
    pairs = ((each.bundle.runtime, start.runtime_version) for each in device.receipts for start in each.starts)
    return ", ".join(sorted({f"{runtime} {version}" for runtime, version in pairs if version}))


def _before_and_after(say: Callable[[DeviceFacts], str], device: DeviceReceipts) -> str:
    states = [say(facts) for facts in (device.facts, device.after) if facts is not None]
    return " → ".join(dict.fromkeys(filter(None, states)))


def protocol_lines(report: Report) -> tuple[str, ...]:
    """Returns how it was measured, in sentences."""
    protocol = report.protocol
    sustained = f" A run without rest took {protocol.sustained_s:g} s." if protocol.sustained_s else ""
    return (
        f"Each bundle was started {protocol.rounds} times in a fresh process, in turn with all others and in another "
        f"order each round. A start gives at most {protocol.runs} samples in at most {protocol.seconds:g} s, after a "
        f"warm-up until medians settle, with {figures.counted(protocol.threads, 'thread')}.{sustained}",
        "A number is that of the typical start; its 95 % interval comes from how the starts differ. One bundle of each "
        "model also ran as its own twin: what differs between the two is noise, and nothing below it is told apart.",
        "Every number here can be computed again from the samples in report.json.",
    )


def runtimes(report: Report) -> str:
    """Returns the runtimes and the versions that their bundles were built with."""
    bundles = [receipt.bundle for device in report.devices for receipt in device.receipts]
    return ", ".join(sorted({f"{bundle.runtime} {bundle.runtime_version}" for bundle in bundles}))
