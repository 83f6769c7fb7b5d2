"""The report as Markdown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deploypipe.profile.receipt import Report
from deploypipe.report import text
from deploypipe.report.overview import Overview
from deploypipe.report.tables import Cell

from . import hostile


@pytest.fixture(scope="module")
def lines(written: Path) -> list[str]:
    return (written / "report.md").read_text().splitlines()


def columns(line: str) -> int:
    return len(re.findall(r"(?<!\\)\|", line))


def test_the_verdict_comes_first(lines: list[str]) -> None:
    assert lines[0] == "# Latency receipts: 5 of 48 checks failed"
    assert "## Failed" in lines[:6]


def test_tables_are_tables(lines: list[str]) -> None:
    """A header has an empty line before it, and all lines of a table have its columns."""
    heads = [at for at, line in enumerate(lines) if line.startswith("|---")]
    assert len(heads) > 10
    for at in heads:
        assert lines[at - 2] == ""
        end = next(i for i in range(at, len(lines) + 1) if i == len(lines) or not lines[i].startswith("|"))
        assert {columns(line) for line in lines[at - 1 : end]} == {columns(lines[at])}
        assert end > at + 1


def test_every_device_has_a_heading(lines: list[str]) -> None:
    found = [line for line in lines if line.startswith("## ")]
    assert found[-5:-1] == ["## local", "## pi5", "## cortex-a53 (emulated)", "## cortex-a76 (emulated)"]


def test_words_of_a_bundle_stay_words(report: Report) -> None:
    found = text.render(Overview.of(hostile.report(report)))
    assert not re.search(r"(?<!\\)<(script|img|svg|b|a)\b", found)
    assert r"\|\`a\`" in found


def test_cells_say_in_words_what_colours_say_on_the_page() -> None:
    assert text.cell(Cell("0.1 ms", "±2 %", "best")) == "**0.1 ms ±2 %**"
    assert text.cell(Cell("0.1 ms", "±2 %", "same")) == "≈ 0.1 ms ±2 %"
    assert text.cell(Cell("≈", "no difference", "same")) == "≈ no difference"
