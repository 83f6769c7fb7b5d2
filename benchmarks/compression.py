"""What compression costs and saves on digits, in each runtime: the table of scripts/bench compression."""

from __future__ import annotations

import functools
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from deploypipe import pipeline, runtimes, zoo
from deploypipe.compress.recipe import Pruning
from deploypipe.search import trial
from deploypipe.search.candidate import Candidate, Measured
from deploypipe.search.executors import RunAll
from deploypipe.search.trial import Make, Task
from deploypipe.spec import ModelSpec, Predict
from deploypipe.target import ArtifactRequest as Form
from deploypipe.target import host_target

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

FP32 = Candidate()
# Bytes of the float32 tables of gcwsnet: 64 pixels, 256 hashes, 4 numbers of 4 bytes.
TABLES = 64 * 256 * 16
INT8 = ("int8-dynamic", "int8-static", "int8-weight")


@dataclass(frozen=True)
class Goal:
    """What a compressed model must reach, each figure a mean over the seeds.

    Attributes:
        name: As it stands in the table.
        make: Makes the model from a seed, in any process.
        precisions: The kinds of which the best one of each runtime counts, where it offers them.
        places: The forms of each runtime, of which the best one counts.
        share: Largest file, of that of fp32 in the same runtime and form.
        drop: Most points that may be lost against eager PyTorch.
        accuracy: Least score in the runtime, percent.
        spared: Least number of bytes that the file is smaller than that of fp32.
        pruning: What is done to the model before.
        seeds: At most so many of those that were asked for.
    """

    name: str
    make: Callable[[int], Make]
    precisions: tuple[str, ...]
    places: tuple[tuple[Form, ...], ...]
    share: float | None = None
    drop: float | None = None
    accuracy: float | None = None
    spared: int | None = None
    pruning: Pruning | None = None
    seeds: int | None = None


@dataclass(frozen=True)
class Row:
    """What came out for a goal in a form: fp32 and the best kind, one result for each seed.

    Attributes:
        goal: The goal.
        form: The runtime.
        base: fp32.
        best: The best kind, as measured on the first seed; empty where the runtime offers none.
        refused: Why it offers none.
    """

    goal: Goal
    form: Form
    base: tuple[Measured, ...] = ()
    best: tuple[Measured, ...] = ()
    refused: str = ""

    @property
    def kind(self) -> str:
        """The precision of the best kind."""
        return self.best[0].candidate.precision if self.best else ""

    @property
    def share(self) -> float:
        """Size of the file over that of fp32."""
        return statistics.fmean(other.size / base.size for base, other in zip(self.base, self.best, strict=True))

    @property
    def drop(self) -> float:
        """Points lost against eager PyTorch."""
        return statistics.fmean(each.drop for each in self.best)

    @property
    def accuracy(self) -> float:
        """Score in the runtime, percent."""
        return statistics.fmean(score for each in self.best for score in each.scores.values())

    def misses(self) -> list[str]:
        """Returns what is not reached, in words."""
        if self.refused:
            return []
        if failed := [each.failure for each in (*self.base, *self.best) if each.failure]:
            return failed[:1]
        goal = self.goal
        spared = statistics.fmean(base.size - best.size for base, best in zip(self.base, self.best, strict=True))
        bounds = (
            (self.share, goal.share, f"{100 * self.share:.1f} % of the bytes, {100 * (goal.share or 0):g} % asked"),
            (self.drop, goal.drop, f"{self.drop:.2f} points lost, {goal.drop} asked"),
            (-self.accuracy, goal.accuracy and -goal.accuracy, f"{self.accuracy:.2f} %, {goal.accuracy} asked"),
            (-spared, goal.spared and -goal.spared, f"{spared:.0f} bytes spared, {goal.spared} asked"),
        )
        return [said for value, bound, said in bounds if bound is not None and value > bound + 1e-9]


def _zoo(model: str) -> Callable[[int], Make]:
    return functools.partial(_seeded, model)


def _seeded(model: str, seed: int) -> Make:
    return functools.partial(zoo.spec, model, checkpoint=zoo.trained(model, seed=seed)[0])


def _agreeing(seed: int) -> Make:
    return functools.partial(agreeing, zoo.trained("mobilenet_v3_small", seed=seed)[0])


def agreeing(checkpoint: Path) -> ModelSpec:
    """Returns mobilenet with its agreement with eager fp32 on the calibration images for a score, in percent."""
    from dataclasses import replace

    import numpy as np

    from deploypipe.predict import eager

    spec = zoo.spec("mobilenet_v3_small", checkpoint=checkpoint)
    images = np.concatenate([batch[0].numpy() for batch in spec.calibration or ()])
    (logits,) = eager(spec.module)(images)
    return replace(spec, evaluate=functools.partial(agreement, images, logits.argmax(1)), train=None)


def agreement(images: Array, classes: Array, predict: Predict) -> float:
    """Returns the share of images whose largest logit is that of given classes, in percent."""
    (logits,) = predict(images)
    return 100 * float((logits.argmax(1) == classes).mean())


# Custom ops may run in our kernels or be decomposed where both are of use to somebody.
BOTH = ("executorch", "litert")
PLAIN = tuple((Form(runtime=name),) for name in runtimes.NAMES)
WITH_OPS = tuple(
    (Form(runtime=name, decomposed=False), Form(runtime=name, decomposed=True))
    if name in BOTH
    else (Form(runtime=name),)
    for name in runtimes.NAMES
)
NATIVE = tuple((forms[0],) for forms in WITH_OPS if forms[0].runtime != "tflite-runtime")

GOALS = (
    Goal("mlp int8", _zoo("mlp"), INT8, PLAIN, share=0.30, drop=0.5),
    Goal("lltm int8", _zoo("lltm"), INT8, WITH_OPS, share=0.30, drop=0.5, accuracy=96.5),
    # The float32 tables of its hashes alone are 9 % of it, and 8 bits for the rest would be 32 %.
    Goal("gcwsnet int8", _zoo("gcwsnet"), INT8, WITH_OPS, share=0.30, drop=0.5, pruning=Pruning(reached=True)),
    Goal("mlp int4", _zoo("mlp"), ("int4-weight",), PLAIN, share=0.20, drop=1.0),
    Goal(
        "gcwsnet uint8 tables, int8 embedding",
        _zoo("gcwsnet"),
        INT8,
        WITH_OPS,
        share=0.22,
        accuracy=97.0,
        pruning=Pruning(storage="uint8", reached=True),
    ),
    Goal(
        "gcwsnet generated tables",
        _zoo("gcwsnet"),
        ("fp32",),
        NATIVE,
        accuracy=97.0,
        # All tables, of which the archives of torch deflate up to a tenth, less what the code that makes them may take.
        spared=TABLES * 9 // 10 - 8192,
        pruning=Pruning(storage="generated"),
    ),
    Goal("mobilenet_v3_small int8-static, agreement", _agreeing, ("int8-static",), PLAIN, accuracy=95.0, seeds=1),
)


def measure(goals: Sequence[Goal], seeds: int, folder: Path, run_all: RunAll) -> Iterator[Row]:
    """Yields a row for each goal and runtime.

    Args:
        goals: What to measure.
        seeds: Trainings of each model; their seeds are 0 and up.
        folder: Receives the bundles.
        run_all: Runs several trials at the same time.
    """
    for goal in goals:
        makes = [goal.make(seed) for seed in range(min(seeds, goal.seeds or seeds))]
        for forms in goal.places:
            yield _row(goal, forms, makes, folder, run_all)


@dataclass(frozen=True)
class _Try:
    """A kind in a form, and both results of it on one seed."""

    form: Form
    candidate: Candidate
    base: Measured
    point: Measured


def _row(goal: Goal, forms: Sequence[Form], makes: Sequence[Make], folder: Path, run_all: RunAll) -> Row:
    runtime = runtimes.get(forms[0].runtime)
    kinds = [each for each in goal.precisions if each in runtime.PRECISIONS]
    if not kinds:
        return Row(goal, forms[0], refused=runtime.REFUSED[goal.precisions[0]].reason)
    candidates = [Candidate(precision=each, pruning=goal.pruning) for each in kinds]
    asked = [(form, each) for form in forms for each in (FP32, *candidates)]
    found = run_all([_task(makes[0], form, each, folder / "0" / form.title) for form, each in asked])
    bases = {form: point for (form, each), point in zip(asked, found, strict=True) if each == FP32}
    tries = [
        _Try(form, each, bases[form], point) for (form, each), point in zip(asked, found, strict=True) if each != FP32
    ]
    best = min(tries, key=functools.partial(_rank, goal))
    tasks = [
        _task(make, best.form, each, folder / str(seed) / best.form.title)
        for seed, make in enumerate(makes[1:], 1)
        for each in (FP32, best.candidate)
    ]
    rest = run_all(tasks)
    return Row(goal, best.form, (best.base, *rest[::2]), (best.point, *rest[1::2]))


def _rank(goal: Goal, found: _Try) -> tuple[bool, float]:
    """The smallest share of those that keep the accuracy on the first seed comes first."""
    lost = found.point.drop > (goal.drop if goal.drop is not None else 1.0)
    failed = bool(found.base.failure or found.point.failure)
    return failed or lost, found.point.size / max(found.base.size, 1)


def _task(make: Make, form: Form, candidate: Candidate, folder: Path) -> Task:
    target = host_target([form.runtime], candidate.precision, form.decomposed)
    label = candidate.label.replace(" ", "-").replace(",", "")
    return Task(make, trial.ungated(target), target.artifacts[0], candidate, folder / label, pipeline.default_log())


def numbers(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Returns the rows as plain values."""
    return [
        {
            "goal": row.goal.name,
            "form": row.form.title,
            "refused": row.refused,
            "misses": row.misses(),
            "base": [each.model_dump(mode="json") for each in row.base],
            "best": [each.model_dump(mode="json") for each in row.best],
        }
        for row in rows
    ]


COLUMNS = ("goal", "runtime", "kind", "fp32", "file", "of fp32", "fp32 score", "score", "points lost", "verdict")


def table(rows: Sequence[Row], seeds: int) -> Table:
    """Makes the table of the rows."""
    made = Table(title=f"Compression on digits, 25 % held out, mean of {seeds} seeds, scores in the runtime, percent")
    for name in COLUMNS:
        made.add_column(name, justify="left" if name in {"goal", "runtime", "kind", "verdict"} else "right")
    for row in rows:
        made.add_row(*cells(row))
    return made


def cells(row: Row) -> tuple[str, ...]:
    """Returns a row as text."""
    head = (row.goal.name, row.form.title, row.kind)
    if row.refused:
        return (*head[:2], "refused", *[""] * 6, row.refused)
    misses = row.misses()
    verdict = f"[red]below[/]: {'; '.join(misses)}" if misses else "[green]ok[/]"
    if any(each.failure for each in (*row.base, *row.best)):
        return (*head, *[""] * 6, verdict)
    base, best = (statistics.fmean(each.size for each in some) for some in (row.base, row.best))
    score = statistics.fmean(score for each in row.base for score in each.scores.values())
    figures = (f"{base / 1e3:.1f} kB", f"{best / 1e3:.1f} kB", f"{100 * row.share:.1f} %", f"{score:.2f}")
    return (*head, *figures, f"{row.accuracy:.2f}", f"{row.drop:.2f}", verdict)


def markdown(rows: Sequence[Row]) -> str:
    """Returns the table in Markdown."""
    from rich.text import Text

    plain = ([Text.from_markup(cell).plain for cell in cells(row)] for row in rows)
    lines = [COLUMNS, ["---"] * len(COLUMNS), *plain]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
