"""What a smaller model costs in accuracy, over the share that is taken away: scripts/bench curves."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.table import Table

from deploypipe import zoo
from deploypipe.capture import resolve
from deploypipe.compress import curves, scores
from deploypipe.compress.curves import Point


@dataclass(frozen=True)
class Curve:
    """A model, what is set in it, and to which values."""

    model: str
    kind: str
    settings: tuple[float, ...]


CURVES = (
    Curve("mlp", "magnitude", (0.5, 0.8, 0.9)),
    Curve("mlp", "channels", (0.25, 0.5, 0.75)),
    Curve("lltm", "magnitude", (0.5, 0.8)),
    Curve("lltm", "hidden", (0.25, 0.5, 0.75)),
    Curve("gcwsnet", "hashes", (128, 64, 32)),
    Curve("gcwsnet", "bits", (5, 4, 3)),
)


@dataclass(frozen=True)
class Row:
    """A setting: one point for each seed, and the bytes of the model as it was."""

    curve: Curve
    setting: float
    points: tuple[Point, ...]
    whole: int


def measure(chosen: Sequence[Curve], seeds: int) -> Iterator[Row]:
    """Yields a row for each setting of each curve."""
    for each in chosen:
        specs = [
            resolve(zoo.spec(each.model, checkpoint=zoo.trained(each.model, seed=seed)[0])) for seed in range(seeds)
        ]
        whole = scores.weights_bytes(specs[0].module)
        for setting in each.settings:
            found = [curves.curve(spec, each.kind, (setting,))[0] for spec in specs]
            yield Row(each, setting, tuple(found), whole)


COLUMNS = ("model", "setting", "bytes", "zipped", "score before training", "after")


def cells(row: Row) -> tuple[str, ...]:
    """Returns a row as text."""
    points = row.points
    return (
        row.curve.model,
        f"{row.curve.kind} {row.setting:g}",
        f"{100 * statistics.fmean(each.weights_bytes for each in points) / row.whole:.1f} %",
        f"{100 * statistics.fmean(each.zipped_bytes for each in points) / row.whole:.1f} %",
        f"{statistics.fmean(each.accuracy_before for each in points):.2f}",
        f"{statistics.fmean(each.accuracy_after for each in points):.2f}",
    )


def table(rows: Sequence[Row], seeds: int) -> Table:
    """Makes the table of the rows."""
    made = Table(title=f"Pruning on digits, eager PyTorch, mean of {seeds} seeds; bytes and score in percent")
    for name in COLUMNS:
        made.add_column(name, justify="left" if name in {"model", "setting"} else "right")
    for row in rows:
        made.add_row(*cells(row))
    return made
