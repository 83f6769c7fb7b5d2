"""`compare`: two reports of `profile` beside each other, for people and for CI."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.markup import escape

from deploypipe.cli import view
from deploypipe.errors import VerdictError

if TYPE_CHECKING:
    from deploypipe.profile.statistics import Estimate
    from deploypipe.report.comparison import Comparison
    from deploypipe.report.rows import Row, Status, Unit

_SAID: dict[Status, str] = {
    "regression": "[bold red]REGRESSION[/]",
    "improvement": "[green]better[/]",
    "changed": "[yellow]changed, perhaps within the margin[/]",
    "same": "[dim]not distinguishable[/]",
    "unknown": "[dim]too few starts[/]",
}


def compare(old: Path, new: Path, percent: float, as_json: bool) -> None:
    """Compares two reports.

    Args:
        old: A report.json, or the folder that holds it.
        new: What may have become worse.
        percent: By which a figure may grow.
        as_json: Prints JSON.

    Raises:
        DeployError: A file is no report, or the two cannot be compared.
        typer.Exit: A figure grew beyond the margin, without doubt, for a bundle or for all of a device together; or a
            bundle fails that did not.
    """
    from deploypipe.profile import receipt
    from deploypipe.report import comparison

    found = comparison.compare(receipt.read(old), receipt.read(new), percent / 100)
    if as_json:
        view.print_json(asdict(found))
    else:
        _print(found, percent)
    if found.worse:
        raise typer.Exit(VerdictError.exit_code)


def _print(found: Comparison, percent: float) -> None:
    columns = ["device", "bundle", "figure", "old", "new", "ratio", "95 %", "noise", ""]
    view.table("", columns, map(_cells, found.rows))
    for shift in found.shifts:
        view.out().print(f"{_SAID[shift.status]}  {escape(shift.describe())}", highlight=False, soft_wrap=True)
    for sentence in found.broken:
        view.out().print(f"[bold red]{escape(sentence)}[/]", highlight=False, soft_wrap=True)
    for note in found.notes:
        view.out().print(f"[yellow]{escape(note)}[/]", highlight=False, soft_wrap=True)
    counts = {status: len(found.of(status)) for status in _SAID}
    view.out().print(
        f"\n{counts['regression']} of {len(found.rows)} figures grew by more than {percent:g} %, "
        f"{counts['improvement']} shrank by as much, {counts['changed']} changed by less or perhaps by less, "
        f"{counts['same']} cannot be told apart, {counts['unknown']} have too few starts.",
        highlight=False,
        soft_wrap=True,
    )


def _cells(row: Row) -> tuple[str, ...]:
    figures = (_figure(row.old, row.unit), _figure(row.new, row.unit), *_ratio(row.ratio))
    noise = f"{100 * row.floor:.1f} %" if row.floor else ""
    return escape(row.device), escape(row.bundle), row.figure, *figures, noise, _SAID[row.status]


def _figure(value: float, unit: Unit) -> str:
    from deploypipe.report import figures

    match unit:
        case "ns":
            return figures.ms(value)
        case "bytes":
            return view.size(round(value))
        case "instructions":
            return f"{value:,.0f}"
        case _:
            return f"{figures.number(value)} {unit}"


def _ratio(found: Estimate | None) -> tuple[str, str]:
    return (f"{found.value:.3f}", f"{found.low:.3f} to {found.high:.3f}") if found else ("", "")
