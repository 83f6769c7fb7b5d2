"""`embed`: a ready project with a bundle inside."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape

from deploypipe.cli import view


def embed(bundle: Path, kind: str, place: Path) -> None:
    """Writes a project, and prints what one should know of it and what to do next."""
    from deploypipe import embed as projects
    from deploypipe.embed.steps import steps

    project = projects.write(bundle, projects.get(kind), place)
    out = view.out()
    out.print(escape(f"{project.manifest.model} for {kind} is in {place}"), soft_wrap=True)
    for note in project.notes:
        out.print(f"[yellow]Note:[/] {escape(note)}", soft_wrap=True)
    out.print("\nNext:")
    for step in steps(project, kind):
        out.print(f"  {escape(step)}", soft_wrap=True)
