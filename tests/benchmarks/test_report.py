from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from benchmarks.kernels import report, table
from benchmarks.kernels.bounds import MULTIPLY, Bound, Need, Probes
from benchmarks.kernels.case import Case, Comparison, Kind
from benchmarks.kernels.report import Row

ISAS = ("avx512", "avx2")
SAMPLES = {
    "op": np.array([2.0, 2.0, 2.0]),
    "op (avx2)": np.array([4.0, 4.0, 4.0]),
    "kernel": np.array([1.0, 1.0, 1.0]),
    "peer: slow": np.array([60.0, 60.0, 60.0]),
    "peer: quick": np.array([20.0, 20.0, 20.0]),
    "trivial": np.array([0.5, 0.5, 0.5]),
}


class NoProbes(Probes):
    """A machine that does one unit in 0.25 us."""

    def __init__(self) -> None:
        pass

    def bound(self, needs: tuple[Need, ...], samples: report.Samples) -> Bound | None:
        return Bound(MULTIPLY, 123.4, 0.25) if needs else None


def row(**fields: Any) -> Row:
    defaults: dict[str, Any] = {"work": "work", "against": "peer", "ours": "op", "peers": ("peer: slow", "peer: quick")}
    case = Case([], [Comparison(**(defaults | fields))])
    return report.rows(case, SAMPLES, ISAS, NoProbes())[0]


def test_the_fastest_form_of_the_peer_counts() -> None:
    found = row(kernel="kernel", needs=(Need(MULTIPLY, 1),))
    assert (found.peer, found.ours, found.theirs, found.figure.value) == ("peer: quick", 2.0, 20.0, 10.0)
    assert found.kernel is not None
    assert found.kernel.value == 20.0
    assert found.others["avx2"].value == 5.0
    assert found.share == 0.25


@pytest.mark.parametrize(("asked", "verdict"), [(10.0, "reached"), (10.1, "below"), (None, "")])
def test_verdict_of_a_factor(asked: float | None, verdict: str) -> None:
    assert row(asked=asked).verdict == verdict


@pytest.mark.parametrize(("asked", "verdict"), [(0.14, "reached"), (0.13, "below")])
def test_a_layer_with_more_work_counts_less(asked: float, verdict: str) -> None:
    found = row(asked=asked, kind=Kind.SHARE, scale=0.75)
    assert found.figure.value == pytest.approx(2 / 15)
    assert found.verdict == verdict


@pytest.mark.parametrize(("asked", "verdict"), [(0.5, "reached"), (0.4, "below")])
def test_a_tax_is_what_is_left(asked: float, verdict: str) -> None:
    found = row(asked=asked, kind=Kind.TAX, peers=("kernel",), trivial="trivial")
    assert found.figure.value == 0.5
    assert found.verdict == verdict


def test_a_tax_in_turns_gives_back_what_only_the_peer_has() -> None:
    assert row(kind=Kind.TURNS, peers=("kernel",), trivial="trivial").figure.value == 1.5


def test_what_a_call_takes() -> None:
    assert row(kind=Kind.CALL, peers=("kernel",)).figure.value == 1.0
    alone = row(kind=Kind.CALL, peers=())
    assert alone.figure.value == 2.0
    assert np.isnan(alone.theirs)


def test_a_row_without_a_figure_on_other_sets_leaves_its_cell_empty() -> None:
    trivial = row(ours="trivial", kind=Kind.CALL, peers=())
    assert trivial.others == {}
    rows = [row(), trivial]
    assert [len(line.split(" | ")) for line in table.markdown(rows).splitlines()] == [12] * 4
    assert len(table.table(rows).rows) == 2


def test_markdown() -> None:
    lines = table.markdown([row(asked=12, kernel="kernel", needs=(Need(MULTIPLY, 1),))]).splitlines()
    assert [cell.strip() for cell in lines[0].strip("|").split("|")] == [
        "work", "against", "ours us", "peer us", "avx512", "95 %", "kernel alone", "avx2", "asked", "verdict",
        "bound", "share of it",
    ]  # fmt: skip
    assert lines[2] == (
        "| work | peer (quick) | 2.0 | 20.0 | 10x | 10 to 10 | 20x | 5x | 12x | below | "
        "0.2 us, FMA peak 123 G/s | 25% |"
    )


def test_terminal_table_has_all_rows() -> None:
    made = table.table([row(), row(kind=Kind.CALL, peers=()), row(work="other")])
    assert made.row_count == 3


def test_numbers_are_json() -> None:
    numbers = json.loads(json.dumps(table.numbers(row(kind=Kind.CALL, peers=(), needs=(Need(MULTIPLY, 1),)))))
    assert numbers["peer_us"] is None
    assert numbers["figure"] == [2.0, 2.0, 2.0]
    assert numbers["bound"] == {"resource": MULTIPLY, "peak": 123.4, "microseconds": 0.25}
    assert table.raw({"a": np.array([1.0, np.nan])}) == {"a": [1.0, None]}
