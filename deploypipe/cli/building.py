"""`train` and `build`."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.markup import escape

from deploypipe.cli import view
from deploypipe.cli.source import is_file_model, load_function
from deploypipe.errors import DeployError, VerdictError

if TYPE_CHECKING:
    from deploypipe.pipeline import Event, Observe, Outcome
    from deploypipe.spec import ModelSpec
    from deploypipe.zoo import Progress


@dataclass(frozen=True)
class Choice:
    """What `build` was asked for, as on the command line."""

    models: Sequence[str]
    checkpoint: Path | None
    targets: Sequence[str]
    runtimes: Sequence[str]
    precision: str | None
    decomposed: bool | None
    data: str
    data_dir: Path | None


def train(model: str, data: str, data_dir: Path | None, epochs: int | None, seed: int, out: Path) -> None:
    """Trains a model of the zoo."""
    from deploypipe import zoo

    with _epochs(model) as progress:
        result = zoo.train(model, data, data_dir, epochs, seed, out=out, progress=progress)
    epoch_count = f"{result.epochs} epoch{'s' if result.epochs > 1 else ''}"
    view.out().print(f"{model}: {result.accuracy:.2f} % after {epoch_count} in {result.seconds:.1f} s -> {result.path}")


def build(choice: Choice, out: Path, force: bool) -> None:
    """Builds every artifact of every target for every model, and prints the table of verdicts."""
    from deploypipe import pipeline

    check_models(choice)
    targets = pipeline.choose_targets(choice.targets, choice.runtimes, choice.precision, choice.decomposed)
    pipeline.check_targets(targets)
    pipeline.check_out(out)
    started = time.monotonic()
    view.progress().print("[dim]loading PyTorch and the models[/]")
    jobs = pipeline.jobs_of([spec(name, choice, force) for name in choice.models], targets)
    log = None if view.debug else pipeline.default_log()
    with _rows(len(jobs)) as observe:
        outcomes = pipeline.run(jobs, pipeline.Settings(out, force, observe, log))
    _summary(outcomes, out, time.monotonic() - started)


def check_models(choice: Choice) -> None:
    """Checks the names of the models before anything heavy is imported.

    Raises:
        DeployError: One is unknown, or a checkpoint is given where there is none to fill.
    """
    from deploypipe import zoo
    from deploypipe.errors import nearest

    for name in choice.models:
        if not is_file_model(name) and name not in zoo.MODELS:
            raise DeployError(
                f"There is no model '{name}'", f"{nearest(name, list(zoo.MODELS))} Or give FILE.py:FUNCTION."
            )
    if choice.checkpoint and (len(choice.models) > 1 or is_file_model(choice.models[0])):
        raise DeployError("--checkpoint goes with one model of the project", "Load your own weights in your function.")


def spec(name: str, choice: Choice, force: bool = False) -> ModelSpec:
    """Makes a model: of a user's file, or of the project, trained where there is no checkpoint."""
    from deploypipe import zoo

    if is_file_model(name):
        return load_function(name)
    checkpoint = choice.checkpoint or trained(name, choice, force)
    return zoo.spec(name, choice.data, choice.data_dir, checkpoint)


def trained(name: str, choice: Choice, force: bool = False) -> Path:
    """Returns the checkpoint of a model of the project, trained or from the cache."""
    from deploypipe import zoo

    with _epochs(name) as progress:
        checkpoint, reused = zoo.trained(name, choice.data, choice.data_dir, progress=progress, force=force)
    view.progress().print(f"[dim]train {name}: {'reused' if reused else 'done'}[/]")
    return checkpoint


def _live() -> dict[str, Any]:
    """Returns how a moving display is shown: not at all where the output is a file."""
    console = view.progress()
    return {"console": console, "transient": True, "disable": not console.is_terminal}


@contextlib.contextmanager
def _epochs(model: str) -> Iterator[Progress]:
    """Shows the epochs of a training."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, **_live()) as bar:
        task = bar.add_task(f"train {model}", total=None)

        def report(done: int, total: int, loss: float) -> None:
            bar.update(task, completed=done, total=total, description=f"train {model}, loss {loss:.4f}")

        yield report


@contextlib.contextmanager
def _rows(count: int) -> Iterator[Observe]:
    """Shows the stage that runs, and a line for each bundle that is finished."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from deploypipe.pipeline import Outcome

    columns = (
        SpinnerColumn(),
        MofNCompleteColumn(),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, **_live()) as bar:
        task = bar.add_task("", total=count)

        def observe(event: Event | Outcome) -> None:
            if isinstance(event, Outcome):
                bar.advance(task)
                bar.console.print(_line(event))
            elif event.state == "started":
                bar.update(task, description=f"{event.stage} {event.row}")

        yield observe


def _line(outcome: Outcome) -> str:
    stages = "  ".join(f"{name} {state}" for name, state in outcome.stages.items())
    head = f"{view.mark(outcome.bundle is not None)} {outcome.row} [dim]{outcome.seconds:.1f} s  {stages}[/]"
    return f"{head}\n     {escape(outcome.error)}" if outcome.error else head


def _summary(outcomes: Sequence[Outcome], out: Path, seconds: float) -> None:
    """Prints the table of verdicts.

    Raises:
        VerdictError: Something failed.
    """
    view.out().print()
    columns = ["bundle", "verdict", "parity", "score (eager)", "custom ops", "size"]
    view.table("", columns, [_row(outcome) for outcome in outcomes])
    failed = [outcome for outcome in outcomes if outcome.bundle is None]
    passed = len(outcomes) - len(failed)
    view.out().print(f"\n{passed} of {len(outcomes)} bundles in {out} in {seconds:.0f} s")
    for outcome in failed:
        view.out().print(f"{view.mark(False)} {outcome.row}: {escape(outcome.error)}")
    if failed:
        raise typer.Exit(VerdictError.exit_code)


def _row(outcome: Outcome) -> tuple[str, ...]:
    verdict, bundle = outcome.verdict, outcome.bundle
    worst = verdict.parity() if verdict else None
    value = "" if worst is None else "not finite" if worst.value is None else f"{worst.value:.1e}"
    scores = verdict.scores if verdict else {}
    eager = verdict.eager_scores if verdict else {}
    return (
        outcome.row,
        view.mark(bundle is not None),
        value,
        ", ".join(f"{score:.2f} ({eager.get(name, float('nan')):.2f})" for name, score in scores.items()),
        ", ".join(f"{op.name.split('::')[1]} {op.path}" for op in bundle.manifest.ops) if bundle else "",
        view.size(sum(bundle.manifest.sizes.values())) if bundle else "",
    )
