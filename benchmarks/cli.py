"""The command line of scripts/bench."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deploypipe.errors import DeployError

app = typer.Typer(add_completion=False, no_args_is_help=True)

# Enough for intervals of a few percent; the whole takes 5 to 8 minutes.
_ROUNDS = 40
_QUICK_ROUNDS = 3
# Wide enough for the table where the output is no terminal.
_WIDTH = 240


def main() -> None:
    """Runs the command that was asked for."""
    try:
        app()
    except DeployError as error:
        sys.exit(str(error))


@app.callback()
def commands() -> None:
    """Measures what the project claims."""


@app.command()
def accuracy(
    seeds: Annotated[int, typer.Option(min=1, help="Trainings per row.")] = 5,
    output: Annotated[Path | None, typer.Option("--json", help="Also write the numbers to this file.")] = None,
    mobilenet: Annotated[bool, typer.Option(help="Add a row for mobilenet_v3_small.")] = False,
) -> None:
    """Trains the models on digits and prints the accuracy table; exit 1 below a threshold."""
    from benchmarks import accuracy as measured

    console, rows = Console(), list[measured.Row]()
    goals = (*measured.GOALS, measured.MOBILENET) if mobilenet else measured.GOALS
    with tempfile.TemporaryDirectory() as folder, console.status("") as status:
        for goal in goals:
            status.update(f"Training {goal.model} ({len(rows) + 1} of {len(goals)})")
            rows.append(measured.measure(goal, seeds, Path(folder)))
    console.print(measured.table(rows, seeds))
    if output:
        output.write_text(json.dumps(measured.numbers(rows), indent=2) + "\n")
    raise typer.Exit(0 if all(row.passed for row in rows) else 1)


@app.command()
def kernels(
    only: Annotated[list[str] | None, typer.Option(help="Cases whose names begin so; may be repeated.")] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="Samples of every lane.  [default: 40]")] = None,
    isa: Annotated[
        str, typer.Option(help="Measure on this instruction set; else on the best one, and on avx2 beside it.")
    ] = "",
    output: Annotated[
        Path | None, typer.Option("--json", help="Also write figures, raw samples and the machine to this file.")
    ] = None,
    markdown: Annotated[bool, typer.Option(help="Print the table in Markdown.")] = False,
    quick: Annotated[bool, typer.Option(help="Tiny sizes and 3 rounds, to see that everything runs.")] = False,
    strict: Annotated[bool, typer.Option(help="Exit with 1 where a figure is below what is asked.")] = False,
) -> None:
    """Times the kernels against their peers and against the machine, in one thread.

    Outputs are compared first: where they differ, nothing is timed, and the exit code is 1. A figure below what is
    asked is printed as such and exits with 0, since a machine that others share is slow at times; --strict exits
    with 1.
    """
    _one_thread()
    from benchmarks.kernels import machine, run, table
    from benchmarks.kernels.own import Own

    run.one_thread()
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    chosen, own, results = run.names(only or []), Own([isa] if isa else []), list[run.Result]()
    count = rounds or (_QUICK_ROUNDS if quick else _ROUNDS)
    progress = Console(stderr=True)
    for number, name in enumerate(chosen, 1):
        progress.print(f"{name} ({number} of {len(chosen)})")
        results.append(run.measure(name, own, count, quick))
    if output:
        output.write_text(json.dumps(run.numbers(results, count), indent=1) + "\n")
    rows = [row for result in results for row in result.rows]
    if markdown:
        print(table.markdown(rows))
    else:
        console.print(table.table(rows))
    _tell(console, [note for result in results for note in result.notes])
    load = max(result.load for result in results)
    _tell(console, [f"{machine.cpu_name()}, {count} rounds, load average up to {load}"])
    errors = [f"{result.name}: {result.error}" for result in results if result.error]
    _tell(console, errors)
    below = strict and any(row.verdict == "below" for row in rows)
    raise typer.Exit(1 if errors or below else 0)


@app.command()
def compression(
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each model.")] = 5,
    only: Annotated[list[str] | None, typer.Option(help="Goals whose names begin so; may be repeated.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Bundles that are built at the same time.")] = 2,
    output: Annotated[Path | None, typer.Option("--json", help="Also write the numbers to this file.")] = None,
    markdown: Annotated[bool, typer.Option(help="Print the table in Markdown.")] = False,
) -> None:
    """Compresses the models for every runtime and prints what it costs and saves; exit 1 where a goal is missed."""
    from benchmarks import compression as measured
    from deploypipe.search import executors

    goals = [each for each in measured.GOALS if not only or each.name.startswith(tuple(only))]
    progress, rows = Console(stderr=True), list[measured.Row]()
    with tempfile.TemporaryDirectory() as folder, executors.processes(workers) as run_all:
        for row in measured.measure(goals, seeds, Path(folder), run_all):
            progress.print(" | ".join(measured.cells(row)), soft_wrap=True)
            rows.append(row)
    if output:
        output.write_text(json.dumps(measured.numbers(rows), indent=1) + "\n")
    if markdown:
        print(measured.markdown(rows))
    else:
        Console(width=None if sys.stdout.isatty() else _WIDTH).print(measured.table(rows, seeds))
    raise typer.Exit(1 if any(row.misses() for row in rows) else 0)


@app.command()
def curves(
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each model.")] = 5,
    only: Annotated[list[str] | None, typer.Option(help="Models; may be repeated.")] = None,
) -> None:
    """Prunes the models by every means, and prints size and accuracy before and after training on."""
    from benchmarks import curves as measured

    chosen = [each for each in measured.CURVES if not only or each.model in only]
    rows = list(measured.measure(chosen, seeds))
    Console(width=None if sys.stdout.isatty() else _WIDTH).print(measured.table(rows, seeds))


@app.command()
def serving(
    bundle: Annotated[Path, typer.Argument(help="What is served.")],
    clients: Annotated[
        list[int] | None, typer.Option(min=1, help="Clients at the same time.  [default: 1, 8, 32]")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="For each kind of request and number of clients.")] = 10,
    sessions: Annotated[int, typer.Option(min=1, help="As of the server.")] = 1,
    batch_ms: Annotated[float | None, typer.Option(min=0, help="As of the server.")] = None,
    output: Annotated[Path | None, typer.Option("--json", help="Also write the numbers to this file.")] = None,
) -> None:
    """Puts the example server under load; exit 1 where a request fails."""
    _one_thread()
    from benchmarks import serving as measured

    options = ["--sessions", str(sessions), *(["--batch-ms", str(batch_ms)] if batch_ms is not None else [])]
    lanes = measured.measure(bundle, clients or (1, 8, 32), seconds, options)
    if output:
        output.write_text(json.dumps(measured.numbers(lanes), indent=1) + "\n")
    Console(width=None if sys.stdout.isatty() else _WIDTH).print(measured.table(lanes))
    raise typer.Exit(1 if any(lane.errors for lane in lanes) else 0)


def _tell(console: Console, lines: list[str]) -> None:
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _one_thread() -> None:
    """Tells libraries that read it when they are loaded; torch and ONNX Runtime are told once more by calls."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")


@app.command()
def receipts(
    bundle: Annotated[Path, typer.Argument(help="Of lltm, with an op library.")],
    slowdown: Annotated[int, typer.Option(min=1, help="Percent by which its kernel is slowed down.")] = 10,
    margin: Annotated[float, typer.Option(min=0, help="Percent by which a figure may grow.")] = 2,
    rounds: Annotated[int, typer.Option(min=2, help="Starts of the bundle in each profile.")] = 40,
) -> None:
    """Profiles a bundle twice and once with a slower kernel; exit 1 unless that is found, and nothing else."""
    from benchmarks import receipts as measured
    from deploypipe.profile.receipt import Protocol

    with tempfile.TemporaryDirectory() as folder:
        found = measured.measure(bundle, slowdown, margin / 100, Protocol(rounds=rounds), Path(folder))
    console = Console(width=_WIDTH)
    for title, comparison in (("against itself", found.itself), (f"kernel {slowdown} % slower", found.slowed)):
        console.print(measured.table(title, comparison))
    raise typer.Exit(0 if found.passed else 1)
