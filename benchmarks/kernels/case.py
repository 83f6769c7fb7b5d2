"""A case: work that is done in several lanes, and what is compared."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.kernels.bounds import Need
from benchmarks.kernels.timing import Lane


class Kind(enum.Enum):
    """What is said of our time and the peer's."""

    FASTER = "x"  # the peer's over ours
    SHARE = "of its time"  # ours over the peer's
    TAX = "us more"  # ours, less what the runtime takes for a trivial program, less the bare kernel's
    TURNS = "us more, in turns"  # ours, less the peer's, in which something trivial is that ours does without
    CALL = "us a call"  # ours alone, or less the peer's: what Python and the runtime take


@dataclass(frozen=True)
class Comparison:
    """A line of the table.

    Attributes:
        work: What is done.
        against: What it is compared with, and how.
        ours: The lane in the same runtime as the peer; else the bare kernel.
        peers: Lanes of which the fastest counts.
        asked: The figure to reach; None to print it only.
        kind: What the figure is.
        scale: The peer's time counts so often; 3/4 for a layer with 4 gates instead of 3.
        trivial: For a tax, the lane of a trivial program; in turns, of what the peer's time has in it and ours has not.
        kernel: The bare kernel's lane, for its own figure and for the bound.
        needs: What the work needs of the machine.
    """

    work: str
    against: str
    ours: str
    peers: tuple[str, ...]
    asked: float | None = None
    kind: Kind = Kind.FASTER
    scale: float = 1.0
    trivial: str = ""
    kernel: str = ""
    needs: tuple[Need, ...] = ()


@dataclass(frozen=True)
class Case:
    """Work whose lanes are timed in the same rounds.

    Attributes:
        lanes: All ways to do it; outputs are compared within their groups.
        comparisons: Lines of the table.
        oracles: Lanes whose outputs count in the check, and which are not timed.
        notes: What a reader should know, such as the seconds of a compilation.
    """

    lanes: Sequence[Lane]
    comparisons: Sequence[Comparison]
    oracles: Sequence[Lane] = ()
    notes: Sequence[str] = field(default_factory=tuple)
