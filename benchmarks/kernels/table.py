"""The table of the figures, for a terminal and in Markdown, and the numbers as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from rich.table import Table

from benchmarks.kernels.bounds import Bound
from benchmarks.kernels.case import Kind
from benchmarks.kernels.report import Row, Samples
from benchmarks.kernels.stats import Estimate

_COLORS = {"reached": "green", "below": "red", "": "default"}


def table(rows: Sequence[Row]) -> Table:
    """Makes the table for a terminal."""
    made = Table(title="Kernels, one thread; medians of interleaved rounds", pad_edge=False)
    names, others = columns(rows), _others(rows)
    for name in names:
        left = name in {"work", "against", "verdict", "bound"}
        made.add_column(name, justify="left" if left else "right", overflow="fold")
    for before, row in zip([None, *rows], rows, strict=False):
        if before is None or before.work != row.work:
            made.add_section()
        cells = dict(zip(names, _cells(row, others), strict=True))
        cells["work"] = "" if before and before.work == row.work else row.work
        cells["verdict"] = f"[{_COLORS[row.verdict]}]{row.verdict}[/]"
        made.add_row(*cells.values())
    return made


def markdown(rows: Sequence[Row]) -> str:
    """Returns the table in Markdown."""
    names, others = columns(rows), _others(rows)
    lines = [names, ["---"] * len(names), *(list(_cells(row, others)) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def columns(rows: Sequence[Row]) -> list[str]:
    """Returns the names of the columns."""
    isa = rows[0].isa if rows else "best"
    measured = ["ours us", "peer us", isa, "95 %", "kernel alone", *_others(rows), "asked"]
    return ["work", "against", *measured, "verdict", "bound", "share of it"]


def _others(rows: Sequence[Row]) -> list[str]:
    """Returns the other instruction sets; a row that none of ours is in has no figure on them."""
    return list(dict.fromkeys(isa for row in rows for isa in row.others))


def _cells(row: Row, others: Sequence[str]) -> Iterator[str]:
    form = row.peer.partition(": ")[2]
    yield from (row.work, f"{row.against} ({form})" if form else row.against, _time(row.ours), _time(row.theirs))
    yield from (_value(row.kind, row.figure.value), _interval(row.kind, row.figure))
    yield _value(row.kind, row.kernel.value) if row.kernel else ""
    yield from (_value(row.kind, row.others[isa].value) if isa in row.others else "" for isa in others)
    yield "" if row.asked is None else _value(row.kind, row.asked)
    yield row.verdict
    yield _bound(row.bound) if row.bound else ""
    yield "" if row.share is None else f"{row.share:.0%}"


def _bound(bound: Bound) -> str:
    unit = "GB/s" if "bandwidth" in bound.resource else "G/s"
    return f"{_time(bound.microseconds)} us, {bound.resource} {bound.peak:.0f} {unit}"


def _time(value: float) -> str:
    if math.isnan(value):
        return ""
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def _value(kind: Kind, value: float) -> str:
    if kind is Kind.FASTER:
        return f"{value:.3g}x" if value < 100 else f"{value:.0f}x"
    return f"{value:.2f}" if kind is Kind.SHARE else f"{value:.1f} us"


def _interval(kind: Kind, figure: Estimate) -> str:
    low, high = (_value(kind, value).removesuffix("x").removesuffix(" us") for value in (figure.low, figure.high))
    return f"{low} to {high}"


def numbers(row: Row) -> dict[str, Any]:
    """Returns a line as plain values."""
    return {
        "work": row.work,
        "against": row.against,
        "peer": row.peer,
        "isa": row.isa,
        "ours_us": _number(row.ours),
        "peer_us": _number(row.theirs),
        "kind": row.kind.name.lower(),
        "figure": _estimate(row.figure),
        "asked": row.asked,
        "verdict": row.verdict,
        "kernel": _estimate(row.kernel) if row.kernel else None,
        "others": {isa: _estimate(figure) for isa, figure in row.others.items()},
        "bound": vars(row.bound) if row.bound else None,
        "share_of_bound": row.share,
    }


def raw(samples: Samples) -> dict[str, list[float | None]]:
    """Returns the samples as plain values, None for a round that a lane sat out."""
    return {lane: [_number(value) for value in values] for lane, values in samples.items()}


def _estimate(figure: Estimate) -> list[float | None]:
    return [_number(figure.value), _number(figure.low), _number(figure.high)]


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(float(value), 4)
