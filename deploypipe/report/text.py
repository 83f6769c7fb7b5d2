"""The report as Markdown, for a pull request or a terminal."""

from __future__ import annotations

import re
from pathlib import Path

from deploypipe import templates
from deploypipe.report.overview import Overview
from deploypipe.report.tables import SAME, Cell

_FOLDER = Path(__file__).parent / "page"
_MARKS = re.compile(r"([\\`*_{}\[\]<>|#&~])")


def render(overview: Overview) -> str:
    """Returns the report as Markdown."""
    environment = templates.environment(_FOLDER)
    environment.filters["plain"] = plain
    environment.filters["cell"] = cell
    text: str = environment.get_template("report.md.jinja").render(overview=overview)
    return text


def plain(text: str) -> str:
    """Returns a text that stands in a table as it is."""
    return _MARKS.sub(r"\\\1", " ".join(text.split()))


def cell(found: Cell) -> str:
    """Returns a cell: the best in bold, and what cannot be told apart from it after a sign."""
    said = plain(" ".join(filter(None, (found.text, found.note))))
    if found.tone == "same" and not said.startswith(SAME):
        return f"{SAME} {said}"
    return f"**{said}**" if found.tone in ("best", "bad") else said
