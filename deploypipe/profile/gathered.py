"""What is known of a bundle while its device is being profiled."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from deploypipe.bundle.manifest import Verdict
from deploypipe.errors import DeployError
from deploypipe.profile.facts import Subject
from deploypipe.profile.lanes import Lane
from deploypipe.profile.receipt import Operators, Point, Receipt, Scenario, Start, Sustained


@dataclass
class Gathered:
    """A receipt that grows.

    Attributes:
        subject: The bundle.
        lane: How it is started; None before it was brought to the device, and where that cannot be.
        twins: It has a second lane, for the noise.
        trouble: Status and reason, once something went wrong; then nothing more is measured.
    """

    subject: Subject
    lane: Lane | None = None
    twins: bool = False
    trouble: tuple[Literal["declined", "failed", "lost"], str] | None = None
    verdict: Verdict | None = None
    starts: list[Start] = field(default_factory=list)
    twin: list[Start] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    sustained: Sustained | None = None
    operators: Operators | None = None
    scenarios: list[Scenario] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Of the bundle."""
        return self.subject.facts.name

    @property
    def ready(self) -> bool:
        """It is on the device, and nothing went wrong."""
        return self.lane is not None and self.trouble is None

    def stop(self, status: Literal["declined", "failed", "lost"], error: DeployError) -> None:
        """Measures no more of it."""
        self.trouble = (status, str(error))

    def receipt(self) -> Receipt:
        """Returns what there is."""
        status, reason = self.trouble or ("measured", "")
        return Receipt(
            bundle=self.subject.facts,
            status=status,
            reason=reason,
            verdict=self.verdict,
            starts=tuple(self.starts),
            twin=tuple(self.twin),
            points=tuple(self.points),
            sustained=self.sustained,
            operators=self.operators,
            scenarios=tuple(self.scenarios),
            notes=tuple(self.notes),
        )
