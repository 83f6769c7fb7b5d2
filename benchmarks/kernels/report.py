"""From samples to the lines of the table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.kernels import stats
from benchmarks.kernels.bounds import Bound, Probes
from benchmarks.kernels.case import Case, Comparison, Kind
from benchmarks.kernels.own import variant
from benchmarks.kernels.stats import Array, Estimate

Samples = dict[str, Array]


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        work: What was done.
        against: What it was compared with.
        peer: The lane of the peer: the fastest of its forms, which stands after a colon.
        isa: The instruction set of ours.
        ours: Median, microseconds.
        theirs: Median of the peer, microseconds.
        kind: What the figures say (`Kind`).
        figure: Median over the rounds, with its interval.
        asked: The figure to reach, or None.
        kernel: The same figure for the bare kernel, where ours is more than that.
        others: The same figure on other instruction sets, by their names.
        bound: What the machine could do at most.
        share: The bound over the time of the bare kernel.
    """

    work: str
    against: str
    peer: str
    isa: str
    ours: float
    theirs: float
    kind: Kind
    figure: Estimate
    asked: float | None
    kernel: Estimate | None
    others: dict[str, Estimate]
    bound: Bound | None
    share: float | None

    @property
    def verdict(self) -> str:
        """`reached`, `below`, or nothing where no figure was asked for."""
        if self.asked is None:
            return ""
        enough = self.figure.value >= self.asked if self.kind is Kind.FASTER else self.figure.value <= self.asked
        return "reached" if enough else "below"


def rows(case: Case, samples: Samples, isas: tuple[str, ...], probes: Probes) -> list[Row]:
    """Returns the lines of a case."""
    return [_row(line, samples, isas, probes) for line in case.comparisons]


def _row(line: Comparison, samples: Samples, isas: tuple[str, ...], probes: Probes) -> Row:
    peer = stats.fastest(line.peers, samples) if line.peers else ""
    bound = probes.bound(line.needs, samples)
    return Row(
        work=line.work,
        against=line.against,
        peer=peer,
        isa=isas[0],
        ours=stats.median(samples[line.ours]),
        theirs=stats.median(samples[peer]) if peer else float("nan"),
        kind=line.kind,
        figure=_figure(line, line.ours, peer, samples),
        asked=line.asked,
        kernel=_figure(line, line.kernel, peer, samples) if line.kernel not in {"", line.ours} else None,
        others=_others(line, peer, samples, isas),
        bound=bound,
        share=bound.microseconds / stats.median(samples[line.kernel]) if bound and line.kernel else None,
    )


def _others(line: Comparison, peer: str, samples: Samples, isas: tuple[str, ...]) -> dict[str, Estimate]:
    """Returns the figures on the other instruction sets; a peer that is our own changes along."""
    return {
        isa: _figure(line, variant(line.ours, isa), _of_isa(peer, isa, samples), samples)
        for isa in isas[1:]
        if variant(line.ours, isa) in samples
    }


def _of_isa(lane: str, isa: str, samples: Samples) -> str:
    return variant(lane, isa) if variant(lane, isa) in samples else lane


def _figure(line: Comparison, ours: str, peer: str, samples: Samples) -> Estimate:
    zero = samples[ours] * 0
    theirs = samples[peer] * line.scale if peer else zero
    trivial = samples[line.trivial] if line.trivial else zero
    return stats.estimate(_FIGURES[line.kind], samples[ours], theirs, trivial)


_FIGURES: dict[Kind, Callable[[Array, Array, Array], Array]] = {
    Kind.FASTER: lambda ours, theirs, trivial: theirs / ours,
    Kind.SHARE: lambda ours, theirs, trivial: ours / theirs,
    Kind.TAX: lambda ours, theirs, trivial: ours - trivial - theirs,
    Kind.TURNS: lambda ours, theirs, trivial: ours - theirs + trivial,
    Kind.CALL: lambda ours, theirs, trivial: ours - theirs,
}
