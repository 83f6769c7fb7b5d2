"""What profiled inferences are made of: their events, the sums over all of them, and a trace for Perfetto."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from deploypipe.profile.receipt import Operator

Kind = Literal["custom", "delegate", "builtin"]

# Inferences that a trace shows; more make a file that opens slowly and says nothing new.
SHOWN = 20


@dataclass(frozen=True)
class Event:
    """One call of an operator; one that lies within another is called by it.

    Attributes:
        name: As the runtime calls the operator.
        kind: Who runs it, as in a receipt.
        start_us: Microseconds since the inference began.
        us: Microseconds that it took.
        detail: Of this call, such as the name of the node.
    """

    name: str
    kind: Kind
    start_us: float
    us: float
    detail: str = ""

    @property
    def end_us(self) -> float:
        """Microseconds since the inference began."""
        return self.start_us + self.us


@dataclass(frozen=True)
class Inference:
    """One run of a model.

    Attributes:
        us: Microseconds from its begin to its end.
        events: Its operators.
    """

    us: float
    events: tuple[Event, ...]


@dataclass(frozen=True)
class Recording:
    """What a profiler of a runtime noted.

    Attributes:
        how: What took the times.
        inferences: In the order in which they ran.
        note: What the numbers do not show.
    """

    how: str
    inferences: tuple[Inference, ...]
    note: str

    @property
    def total_ms(self) -> float:
        """The median of the inferences, milliseconds."""
        return _ms([each.us for each in self.inferences])

    def calls(self, kind: Kind) -> int:
        """Returns how many operators of a kind the last inference ran."""
        return sum(event.kind == kind for event in self.inferences[-1].events)


def own_times(events: Sequence[Event]) -> list[float]:
    """Returns for each event the microseconds that it did not spend in events that lie within it."""
    own = [event.us for event in events]
    around: list[int] = []
    for number in sorted(range(len(events)), key=lambda each: (events[each].start_us, -events[each].us)):
        while around and events[around[-1]].end_us <= events[number].start_us:
            around.pop()
        if around:
            own[around[-1]] -= events[number].us
        around.append(number)
    return [max(0.0, each) for each in own]  # whole microseconds may add up to more than what they lie in


def operators(inferences: Sequence[Inference]) -> tuple[Operator, ...]:
    """Sums up the calls of each operator in an inference, and takes the median over the inferences."""
    times: dict[tuple[str, Kind], list[float]] = defaultdict(lambda: [0.0] * len(inferences))
    calls: dict[tuple[str, Kind], int] = defaultdict(int)
    for number, inference in enumerate(inferences):
        for event, us in zip(inference.events, own_times(inference.events), strict=True):
            times[event.name, event.kind][number] += us
            calls[event.name, event.kind] += 1
    found = [
        Operator(name=name, kind=kind, calls=calls[name, kind] / len(inferences), ms=_ms(each))
        for (name, kind), each in times.items()
    ]
    return tuple(sorted(found, key=lambda each: -each.ms))


def _ms(microseconds: Sequence[float]) -> float:
    return round(statistics.median(microseconds) / 1e3, 6)


def write(recording: Recording, title: str, path: Path) -> None:
    """Writes the first inferences, one after the other, as a Chrome trace, which Perfetto opens too.

    Args:
        recording: What to show.
        title: Stands above the lane.
        path: The file.
    """
    lane = {"name": "process_name", "ph": "M", "pid": 1, "tid": 1, "args": {"name": title}}
    events = [lane, *_slices(recording.inferences[:SHOWN])]
    path.write_text(json.dumps({"displayTimeUnit": "ns", "traceEvents": events}, separators=(",", ":")) + "\n")


def _slices(inferences: Sequence[Inference]) -> Iterator[dict[str, Any]]:
    began = 0.0
    for number, inference in enumerate(inferences):
        yield _slice("inference", "inference", began, inference.us, str(number))
        for event in inference.events:
            yield _slice(event.name, event.kind, began + event.start_us, event.us, event.detail)
        began += inference.us


def _slice(name: str, category: str, start_us: float, us: float, detail: str) -> dict[str, Any]:
    times = {"ts": round(start_us, 3), "dur": round(us, 3)}
    return {"name": name, "cat": category, "ph": "X", "pid": 1, "tid": 1, **times, "args": {"detail": detail}}
