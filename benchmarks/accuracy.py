"""The accuracy of the zoo's models on held-out digits."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from deploypipe import zoo


@dataclass(frozen=True)
class Goal:
    """A mean accuracy on held-out digits, in percent, that a model must reach.

    Attributes:
        model: A name of the zoo.
        epochs: Passes over the training images; None takes the recipe's.
        threshold: The least mean accuracy.
    """

    model: str
    epochs: int | None
    threshold: float


GOALS = (
    Goal("mlp", None, 97.0),
    Goal("lltm", None, 97.0),
    Goal("gcwsnet", None, 97.0),
    Goal("gcwsnet", 1, 85.0),
)
# Not part of the default run: five of its trainings take minutes.
MOBILENET = Goal("mobilenet_v3_small", None, 95.0)


@dataclass(frozen=True)
class Row:
    """What came out for a goal: one accuracy (percent) and one training time (seconds) per seed."""

    model: str
    epochs: int
    threshold: float
    accuracies: list[float]
    seconds: list[float]

    @property
    def mean(self) -> float:
        """Mean accuracy, percent."""
        return statistics.fmean(self.accuracies)

    @property
    def passed(self) -> bool:
        """The mean reaches the threshold."""
        return self.mean >= self.threshold


def measure(goal: Goal, seeds: int, folder: Path) -> Row:
    """Trains a model once per seed, each with its own split of digits."""
    results = [
        zoo.train(goal.model, epochs=goal.epochs, seed=seed, out=folder / "model.safetensors") for seed in range(seeds)
    ]
    accuracies, seconds = [item.accuracy for item in results], [item.seconds for item in results]
    return Row(goal.model, results[0].epochs, goal.threshold, accuracies, seconds)


def numbers(rows: list[Row]) -> list[dict[str, Any]]:
    """Returns the rows as plain values."""
    return [{**asdict(row), "mean": row.mean, "passed": row.passed} for row in rows]


def table(rows: list[Row], seeds: int) -> Table:
    """Makes the table of the rows."""
    made = Table(title=f"Accuracy on digits, 25 % held out, {seeds} seeds, percent")
    for name in ("model", "epochs", "mean", "sd", "worst", "seconds each", "threshold", "verdict"):
        made.add_column(name, justify="left" if name in {"model", "verdict"} else "right")
    for row in rows:
        made.add_row(*_cells(row))
    return made


def _cells(row: Row) -> Iterator[str]:
    spread = statistics.stdev(row.accuracies) if len(row.accuracies) > 1 else 0.0
    yield from (row.model, str(row.epochs), f"{row.mean:.2f}", f"{spread:.2f}", f"{min(row.accuracies):.2f}")
    yield from (f"{statistics.fmean(row.seconds):.1f}", f"{row.threshold:.1f}")
    yield "[green]ok[/]" if row.passed else "[red]below[/]"
