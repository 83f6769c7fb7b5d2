"""How things look on the terminal: results on standard output, progress and errors on standard error."""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

debug = False
FILE_WIDTH = 160


@functools.cache
def out() -> Console:
    """Returns the console for results; a file gets lines that are long enough for any table."""
    return Console(width=None if sys.stdout.isatty() else FILE_WIDTH)


@functools.cache
def progress() -> Console:
    """Returns the console for progress, which still works while the frameworks' output is diverted."""
    return Console(file=os.fdopen(os.dup(2), "w"), force_terminal=sys.stderr.isatty(), soft_wrap=True)


def error(message: str, cure: str) -> None:
    """Prints an error: what is wrong, and what to do."""
    console = Console(stderr=True, soft_wrap=True)
    console.print(f"[bold red]Error:[/] {escape(message.removesuffix('.'))}.")
    if cure:
        console.print(escape(cure))


def print_json(value: Any) -> None:
    """Prints JSON for programs."""
    print(json.dumps(value, indent=2, default=str))


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Prints a table of plain strings; markup in cells is kept."""
    view = Table(title=title or None, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for column in columns:
        view.add_column(column, overflow="fold")
    for row in rows:
        view.add_row(*row)
    out().print(view)


def mark(passed: bool) -> str:
    """Returns a green or red word."""
    return "[green]pass[/]" if passed else "[red]FAIL[/]"


def yes(ok: bool) -> str:
    """Returns a green yes or a yellow no."""
    return "[green]yes[/]" if ok else "[yellow]no[/]"


def size(count: int) -> str:
    """Returns a number of bytes for people: `1.2 MB`."""
    if count < 1000:
        return f"{count} B"
    return f"{count / 1e6:.1f} MB" if count >= 1_000_000 else f"{count / 1e3:.1f} kB"
