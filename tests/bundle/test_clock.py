"""Timing of single runs, with a clock that goes by itself."""

from __future__ import annotations

import gc
import itertools

import pytest

from deploypipe.bundle.clock import Span, samples

SECOND = 1_000_000_000


class Machine:
    """Its clock moves only while the model runs."""

    def __init__(self, *seconds: float) -> None:
        self._runs = itertools.cycle(seconds)
        self._now = 0

    def run(self) -> None:
        assert not gc.isenabled()
        self._now += int(next(self._runs) * SECOND)

    def clock(self) -> int:
        return self._now


@pytest.mark.parametrize(
    ("seconds", "span", "runs"),
    [
        (0.01, Span(runs=5, least=0.0, most=9.0), 5),
        (0.01, Span(runs=5, least=0.1, most=9.0), 10),
        (1.00, Span(runs=100, least=0.5, most=3.0), 3),
        (60.0, Span(runs=100, least=0.5, most=5.0), 1),
    ],
    ids=["so many runs", "and so many seconds", "but not longer", "one run at least"],
)
def test_it_goes_on_as_long_as_the_span_says(seconds: float, span: Span, runs: int) -> None:
    machine = Machine(seconds)
    assert list(samples(machine.run, span, machine.clock)) == [seconds * SECOND] * runs
    assert gc.isenabled()


def test_every_run_is_timed_alone() -> None:
    machine = Machine(0.1, 0.2, 0.7)
    found = samples(machine.run, Span(runs=3, least=0.0, most=9.0), machine.clock)
    assert [each / SECOND for each in found] == [0.1, 0.2, 0.7]
    assert found.dtype == "int64"
