"""A table as the page and the text both show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from deploypipe.report import figures

# `best` of its group, `same`: cannot be told apart from the best, `good` and `bad`: of a judgement.
SAME = "≈"
Tone = Literal["", "best", "same", "good", "bad"]


@dataclass(frozen=True)
class Cell:
    """One value of a table.

    Attributes:
        text: The value with its unit.
        note: What stands small beneath it: the interval.
        tone: How it stands to the others.
        title: More, for a pointer that rests on it.
    """

    text: str = figures.NONE
    note: str = ""
    tone: Tone = ""
    title: str = ""


@dataclass(frozen=True)
class Row:
    """A line of a table.

    Attributes:
        label: What it is about.
        note: What stands small beneath it.
        cells: One for each column.
    """

    label: str
    cells: tuple[Cell, ...]
    note: str = ""


@dataclass(frozen=True)
class Group:
    """Lines that belong together.

    Attributes:
        title: An empty string where there is one group only.
        rows: Its lines.
    """

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        label: Heads the first column.
        columns: Head the others.
        groups: The lines.
        notes: Sentences beneath it.
        words: The cells hold sentences, which stand to the left and may break.
    """

    label: str
    columns: tuple[str, ...]
    groups: tuple[Group, ...]
    notes: tuple[str, ...] = ()
    words: bool = False

    def without_empty_columns(self) -> Table:
        """Returns the table without the columns that hold nothing in any line."""
        rows = [row for group in self.groups for row in group.rows]
        kept = [at for at in range(len(self.columns)) if any(row.cells[at].text != figures.NONE for row in rows)]
        groups = tuple(
            Group(
                group.title, tuple(Row(row.label, tuple(row.cells[at] for at in kept), row.note) for row in group.rows)
            )
            for group in self.groups
        )
        return Table(self.label, tuple(self.columns[at] for at in kept), groups, self.notes, self.words)
