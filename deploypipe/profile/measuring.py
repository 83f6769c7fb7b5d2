"""Measures bundles on one device: all in the same rounds, each time in a fresh process."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from deploypipe.bundle.manifest import Manifest, Verdict
from deploypipe.devices.device import Device
from deploypipe.devices.facts import DeviceFacts
from deploypipe.devices.protocol import LostDeviceError
from deploypipe.errors import DeployError
from deploypipe.predict import batch_axis
from deploypipe.profile import lanes, windows
from deploypipe.profile.bench import Bench, Ran
from deploypipe.profile.facts import Subject
from deploypipe.profile.gathered import Gathered
from deploypipe.profile.journal import Journal
from deploypipe.profile.receipt import Point, Protocol, Start, Sustained

Tell = Callable[[str], None]

# Rests between runs, ms: an app that runs a model for each frame of 30 a second.
GAPS = (33.0,)
GAP_RUNS = 64
BATCHES = (1, 4, 16, 64)
_VERIFY = Bench(runs=1, seconds=0, settle=0, verify=True)

_ROUND = TypeAdapter(dict[str, Start])
_VERDICT, _POINT, _SUSTAINED = TypeAdapter(Verdict), TypeAdapter(Point), TypeAdapter(Sustained)


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Attributes:
        device: Where, locked for the time.
        facts: What it is.
        protocol: How.
        journal: Knows what was measured before an interruption.
        folder: Empty, for what has to be made for the device.
        tell: Is told what is done.
    """

    device: Device
    facts: DeviceFacts
    protocol: Protocol
    journal: Journal
    folder: Path
    tell: Tell


def measure(plan: Plan, subjects: Sequence[Subject]) -> list[Gathered]:
    """Measures bundles; a device that goes away leaves what came before.

    Args:
        plan: Where and how.
        subjects: The bundles.
    """
    found = [Gathered(each) for each in subjects]
    try:
        for step in (_bring, _verify, _pair, _rounds, _points, _sustain):
            step(plan, found)
    except LostDeviceError as error:
        for each in found:
            if each.trouble is None:
                each.stop("lost", error)
    return found


def _bring(plan: Plan, found: Sequence[Gathered]) -> None:
    for number, each in enumerate(found):
        with _troubles(each, "declined"):
            plan.tell(f"bringing {each.name}")
            each.lane = lanes.lane(plan.device, plan.facts.platform, each.subject, plan.folder / str(number))
            if each.lane.in_python:
                each.notes.append(f"It was timed in Python: {each.lane.in_python}.")


def _verify(plan: Plan, found: Sequence[Gathered]) -> None:
    for each in _ready(found):
        plan.tell(f"verifying {each.name}")
        with _troubles(each, "failed"):
            each.verdict = plan.journal.once(f"verdict {each.name}", _VERDICT, partial(_verdict, each))


def _verdict(each: Gathered) -> Verdict:
    verdict = _run(each, _VERIFY).verdict
    assert verdict, "--verify gives one"
    return verdict


def _pair(_plan: Plan, found: Sequence[Gathered]) -> None:
    """Gives the first bundle of each model a twin: the same bundle once more."""
    paired: set[str] = set()
    for each in _ready(found):
        each.twins = each.subject.facts.model not in paired
        paired.add(each.subject.facts.model)


def _rounds(plan: Plan, found: Sequence[Gathered]) -> None:
    for number in range(plan.protocol.rounds):
        plan.tell(f"round {number + 1} of {plan.protocol.rounds}")
        taken = plan.journal.once(f"round {number}", _ROUND, partial(_round, plan, found, number))
        for each in _ready(found):
            _keep(each.starts, taken.get(each.name))
            _keep(each.twin, taken.get(_twin(each)))


def _round(plan: Plan, found: Sequence[Gathered], number: int) -> dict[str, Start]:
    """Starts every bundle once, in an order of its own for each round."""
    how = Bench(plan.protocol.runs, plan.protocol.seconds, threads=plan.protocol.threads)
    entries = [(each.name, each) for each in _ready(found)]
    entries += [(_twin(each), each) for each in _ready(found) if each.twins]
    random.Random(number).shuffle(entries)
    taken: dict[str, Start] = {}
    for name, each in entries:
        if each.ready:
            with _troubles(each, "failed"):
                taken[name] = _run(each, how).start.model_copy(update={"round": number})
    return taken


def _twin(each: Gathered) -> str:
    return f"{each.name} again"


def _keep(starts: list[Start], start: Start | None) -> None:
    if start:
        starts.append(start)


def _points(plan: Plan, found: Sequence[Gathered]) -> None:
    for each in _ready(found):
        plan.tell(f"threads, batches and rests of {each.name}")
        for kind, value, how in _settings(plan, each):
            setting = f"{kind} {value:g}"
            with noted(each, setting):
                make = partial(_point, each, kind, value, how)
                each.points.append(plan.journal.once(f"{setting} {each.name}", _POINT, make))


def _settings(plan: Plan, each: Gathered) -> Iterator[tuple[str, float, Bench]]:
    protocol = plan.protocol
    for count in _powers(plan.facts.cores or 1):
        yield "threads", count, Bench(protocol.runs, protocol.seconds, threads=count)
    for axis, size in _batches(each.subject.manifest):
        yield "batch", size, Bench(protocol.runs, protocol.seconds, threads=protocol.threads, axes=((axis, size),))
    for gap in GAPS:
        yield "gap_ms", gap, Bench(GAP_RUNS, 2 * GAP_RUNS * gap / 1000, threads=protocol.threads, gap_ms=gap)


def _powers(most: int) -> list[int]:
    """Returns 1, 2, 4... up to a number, and the number."""
    return sorted({1 << bit for bit in range(most.bit_length())} | {most})


def _batches(manifest: Manifest) -> list[tuple[str, int]]:
    axis = batch_axis(manifest.inputs, manifest.outputs)
    if axis is None or axis not in manifest.axes:
        return []
    bounds = manifest.axes[axis]
    return [(axis, size) for size in BATCHES if bounds.min <= size <= bounds.max]


def _point(each: Gathered, kind: str, value: float, how: Bench) -> Point:
    return _POINT.validate_python({"kind": kind, "value": value, "samples_ns": _run(each, how).start.samples_ns})


def _sustain(plan: Plan, found: Sequence[Gathered]) -> None:
    if not plan.protocol.sustained_s:
        return
    for each in _ready(found):
        plan.tell(f"{plan.protocol.sustained_s:g} s of {each.name} without rest")
        with noted(each, "the sustained run"):
            make = partial(_sustained, each, plan.protocol)
            each.sustained = plan.journal.once(f"sustained {each.name}", _SUSTAINED, make)


def _sustained(each: Gathered, protocol: Protocol) -> Sustained:
    fastest = min(min(start.samples_ns) for start in each.starts)
    runs = min(int(protocol.sustained_s * 1e9 / fastest) + 1, windows.MOST_RUNS)
    samples = _run(each, Bench(runs, protocol.sustained_s, threads=protocol.threads)).start.samples_ns
    return windows.sustained(samples)


def _run(each: Gathered, how: Bench) -> Ran:
    assert each.lane, "it was brought to the device"
    return each.lane.run(how)


def _ready(found: Sequence[Gathered]) -> list[Gathered]:
    return [each for each in found if each.ready]


@contextmanager
def _troubles(each: Gathered, status: Literal["declined", "failed"]) -> Iterator[None]:
    """Measures no more of a bundle after an error, and goes on with the others, unless the device itself is gone."""
    try:
        yield
    except LostDeviceError:
        raise
    except DeployError as error:
        each.stop(status, error)


@contextmanager
def noted(each: Gathered, what: str) -> Iterator[None]:
    """Leaves something out after an error, and says so."""
    try:
        yield
    except LostDeviceError:
        raise
    except DeployError as error:
        each.notes.append(f"{what}: {error}")
