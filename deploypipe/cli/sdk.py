"""`sdk install`."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape

from deploypipe.cli import view
from deploypipe.native import sdk


def install(folder: Path, platform: str | None) -> None:
    """Builds the C SDK, copies it to a folder, and says which backends it has and why not the others."""
    with view.progress().status("building the SDK"):
        built = sdk.build(platform)
        sdk.copy(built, folder)
    rows = [(name, "built") for name in built.backends]
    rows += [(name, f"[yellow]not built:[/] {escape(str(lack.error()))}") for name, lack in built.lacks.items()]
    view.table("", ["backend", str(folder)], rows)
