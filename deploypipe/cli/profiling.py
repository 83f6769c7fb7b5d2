"""`profile`: latency receipts of bundles on devices, and their report."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from deploypipe.cli import view
from deploypipe.errors import DeployError, VerdictError

if TYPE_CHECKING:
    from deploypipe.profile.receipt import DeviceReceipts, Protocol, Receipt
    from deploypipe.profile.run import Observe
    from deploypipe.profile.statistics import Estimate
    from deploypipe.report.standing import Measured, Timed


def profile(
    paths: Sequence[Path],
    names: Sequence[str],
    config: Path | None,
    out: Path,
    protocol: Protocol,
    scenario_s: float,
    resume: bool,
) -> None:
    """Profiles bundles on devices, writes the report, and prints what was found.

    Raises:
        DeployError: A bundle is damaged, or a device is not known.
        typer.Exit: A bundle failed, keeps no budget, or a device was lost.
    """
    from deploypipe import report as reports
    from deploypipe.devices import config as devices
    from deploypipe.profile import run
    from deploypipe.report import verdicts
    from deploypipe.report.standing import Timed

    bundles = [bundle for path in paths for bundle in _bundles(path)]
    chosen = devices.chosen(names or ["local"], config)
    with _shown(len(chosen)) as observe:
        found = run.profile(bundles, chosen, run.Settings(out, protocol, scenario_s, resume, observe))
    page = reports.write(found, out)
    timed = Timed.of(found)
    for device in found.devices:
        _print(device, timed)
    answer = verdicts.answer(found, timed)
    for finding in answer.of("missed"):
        view.out().print(f"[red]{escape(finding.bundle)}[/] {escape(finding.sentence)}", highlight=False)
    view.out().print(f"\n{escape(answer.headline)}. The report: {escape(str(page))}", highlight=False, soft_wrap=True)
    if answer.outcome == "missed" or any(device.lost for device in found.devices):
        raise typer.Exit(VerdictError.exit_code)


def _bundles(path: Path) -> list[Path]:
    """Returns a bundle, or all bundles inside a folder.

    Raises:
        DeployError: There is none.
    """
    from deploypipe.bundle.manifest import FILE

    if path.is_file() or (path / FILE).is_file():
        return [path]
    found = sorted(each.parent for each in path.rglob(FILE)) if path.is_dir() else []
    if not found:
        raise DeployError(f"There is no bundle in {path}", "Build one with `deploypipe build`.")
    return found


@contextmanager
def _shown(devices: int) -> Iterator[Observe]:
    """Gives what shows on the terminal, for each device, what is done there; a file gets no progress."""
    console = view.progress()
    tasks: dict[str, TaskID] = {}
    lock = threading.Lock()
    columns = (SpinnerColumn(), TextColumn("{task.fields[device]}", style="bold"), TextColumn("{task.description}"))
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as shown:

        def observe(device: str, what: str) -> None:
            with lock:
                if device not in tasks:
                    tasks[device] = shown.add_task("", total=None, device=device)
                shown.update(tasks[device], description=escape(what))

        yield observe


def _print(device: DeviceReceipts, timed: Timed) -> None:
    if device.lost:
        view.out().print(f"\n[bold red]{escape(device.name)} was lost[/]: {escape(device.lost)}", highlight=False)
    measured = [each for each in device.receipts if each.status != "declined"]
    if measured:
        view.out().print()
        _print_measured(device, measured, timed)
    reasons = Counter(each.reason for each in device.receipts if each.status == "declined")
    for reason, count in reasons.items():
        view.out().print(f"[dim]{count} not run there: {escape(reason)}[/]", highlight=False, soft_wrap=True)


def _print_measured(device: DeviceReceipts, measured: Sequence[Receipt], timed: Timed) -> None:
    if device.emulates:
        title = f"{device.name}: emulated, {device.emulates}"
        view.table(title, ["bundle", "instructions of an inference", "verdict"], map(_counted, measured))
        return
    columns = ["bundle", "median", "p90", "p99", "cold start", "peak memory", "verdict"]
    view.table(device.name, columns, [_timed(each, timed.find(device, each.bundle.name)) for each in measured])


def _counted(receipt: Receipt) -> Sequence[str]:
    counts = sorted(receipt.instructions.per_inference) if receipt.instructions else []
    return escape(receipt.bundle.name), f"{counts[len(counts) // 2]:,}" if counts else "", _verdict(receipt)


def _timed(receipt: Receipt, measured: Measured | None) -> Sequence[str]:
    if measured is None:
        return escape(receipt.bundle.name), "", "", "", "", "", _verdict(receipt)
    found = measured.summary
    times = (_estimate(each, 1e6, "ms") for each in (found.median, found.p90, found.p99))
    return (
        escape(receipt.bundle.name),
        *times,
        _estimate(found.cold_start_ms, 1, "ms"),
        _estimate(found.peak_mb, 1, "MB"),
        _verdict(receipt),
    )


def _estimate(estimate: Estimate | None, scale: float, unit: str) -> str:
    """Returns a number and its interval; none where samples are too few."""
    from deploypipe.report import figures

    if estimate is None:
        return ""
    return f"{figures.number(estimate.value / scale)} {unit} [dim]{figures.spread(estimate)}[/]"


def _verdict(receipt: Receipt) -> str:
    if receipt.status in {"failed", "lost"}:
        return f"[red]{receipt.status}[/]: {escape(receipt.reason)}"
    return view.mark(receipt.verdict is not None and receipt.verdict.passed)
