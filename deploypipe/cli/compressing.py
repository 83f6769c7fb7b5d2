"""`compress`."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from deploypipe.cli import building, view
from deploypipe.cli.building import Choice
from deploypipe.cli.source import is_file_model
from deploypipe.errors import VerdictError

if TYPE_CHECKING:
    from deploypipe.search import Goals, Settings
    from deploypipe.search.candidate import Measured
    from deploypipe.search.report import ArtifactReport
    from deploypipe.search.sensitivity import Sensitivity
    from deploypipe.search.settings import Found
    from deploypipe.search.trial import Make
    from deploypipe.target import Target


@dataclass(frozen=True)
class Asked:
    """The budgets and the search, as on the command line; a budget that is None is the target's."""

    accuracy_drop: float | None
    size_mb: float | None
    p90_ms: float | None
    trials: int
    seed: int
    workers: int
    executor: str


def compress(choice: Choice, asked: Asked, out: Path) -> None:
    """Searches for every target, and prints what was found.

    Raises:
        VerdictError: For an artifact nothing keeps the budgets.
    """
    from deploypipe import pipeline, search

    building.check_models(choice)
    targets = pipeline.choose_targets(choice.targets, choice.runtimes)
    goals = [search.Goals.of(each, asked.accuracy_drop, asked.size_mb, asked.p90_ms) for each in targets]
    pipeline.check_targets(targets)
    view.progress().print("[dim]loading PyTorch and the model[/]")
    log = None if view.debug else pipeline.default_log()
    settings = search.Settings(out, asked.trials, asked.seed, asked.workers, asked.executor, show, log)
    make = _make(choice)
    found = [_missed(make, target, goal, settings) for target, goal in zip(targets, goals, strict=True)]
    if missed := [text for text in found if text]:
        raise VerdictError(" ".join(missed))


def _make(choice: Choice) -> Make:
    """Returns what makes the model in any process; a model of the project is trained here, once."""
    (name,) = choice.models
    if not is_file_model(name):
        choice = replace(choice, checkpoint=choice.checkpoint or building.trained(name, choice))
    return functools.partial(building.spec, name, choice)


def _missed(make: Make, target: Target, goals: Goals, settings: Settings) -> str:
    """Searches for a target; returns why there is something that it did not find, or an empty string."""
    from deploypipe import search

    view.out().print(f"\n[bold]{target.name}[/]: {escape(goals.describe())}", highlight=False)
    try:
        search.compress(make, target, goals, settings)
    except VerdictError as error:
        return str(error)
    return ""


def show(found: Found) -> None:
    """Prints something that a search found."""
    from deploypipe.search.candidate import Measured

    if isinstance(found, str):
        view.out().print(f"\n[bold]{escape(found)}[/]", highlight=False)
    elif isinstance(found, tuple):
        _print_sensitivities(found)
    elif isinstance(found, Measured):
        _print_point(found)
    else:
        _print_report(found)


def _print_sensitivities(found: Sequence[Sensitivity]) -> None:
    if not found:
        return
    columns = ["layers", "weights", "error, 8 bits", "points lost", "error, 4 bits", "points lost"]
    rows = [
        (
            each.group,
            f"{each.weights:,}",
            *(text for bits in each.errors for text in (f"{each.errors[bits]:.1e}", f"{each.drops[bits]:.2f}")),
        )
        for each in found
    ]
    view.out().print("What each part alone does to the model with few bits, most sensitive first", style="italic")
    view.table("", columns, rows)


def _print_point(point: Measured) -> None:
    head = f"{view.mark(not point.failure)} {escape(point.candidate.label)} [dim]{point.seconds:.1f} s[/]"
    if point.failure:
        view.out().print(f"{head}\n     {escape(point.failure)}", highlight=False)
    else:
        view.out().print(f"{head}  {_figures(point)}", highlight=False)


def _figures(point: Measured) -> str:
    speed = f", {point.speed.describe()}" if point.speed and point.candidate.label != "fp32" else ""
    return f"{view.size(point.size)}, {point.drop:+.2f} points lost{speed}"


def _print_report(report: ArtifactReport) -> None:
    columns = ["Pareto front", "size", "of fp32", "points lost", "p50, p90 in ms", "against fp32"]
    view.out().print()
    view.table("", columns, [_row(point, report) for point in report.front])
    view.out().print()
    for each in report.rejected:
        view.out().print(f"[yellow]not taken[/]  {escape(each.setting)}: {escape(each.reason)}", highlight=False)
    for layer in report.stayed_float:
        view.out().print(f"[dim]float[/]  {layer.name} ({layer.kind}): {escape(layer.reason)}", highlight=False)
    view.out().print(_chosen(report), highlight=False)


def _row(point: Measured, report: ArtifactReport) -> tuple[str, ...]:
    mark = "[green]>[/] " if point == report.chosen else "  "
    speed = point.speed
    return (
        f"{mark}{escape(point.candidate.label)}",
        view.size(point.size),
        f"{100 * point.size / report.base.size:.0f} %",
        f"{point.drop:.2f}",
        f"{speed.p50_ms:.3g}, {speed.p90_ms:.3g}" if speed else "no device here",
        f"{speed.ratio:.2f} ({speed.low:.2f} to {speed.high:.2f})" if speed and point != report.base else "",
    )


def _chosen(report: ArtifactReport) -> str:
    taken = report.chosen
    if taken is None:
        return f"[red]Nothing keeps the budgets for {escape(report.artifact)}[/]"
    if taken.candidate == report.base.candidate:
        return f"[green]chosen[/]  kept fp32 -> {report.folder}"
    return f"[green]chosen[/]  {escape(taken.candidate.label)}: {_figures(taken)} -> {report.folder}"
