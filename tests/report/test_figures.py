"""Numbers as people read them."""

from __future__ import annotations

import math

import pytest

from deploypipe.profile.statistics import Estimate
from deploypipe.report import figures


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "0"),
        (0.029249, "0.0292"),
        (0.09999996, "0.100"),
        (12.44, "12.4"),
        (339.7, "340"),
        (1240, "1,240"),
        (-0.5, "-0.500"),
    ],
)
def test_three_digits_count(value: float, said: str) -> None:
    assert figures.number(value) == said


def test_a_latency_is_in_milliseconds() -> None:
    assert figures.ms(123_400) == "0.123 ms"


@pytest.mark.parametrize(
    ("part", "said"), [(0, "0 %"), (0.0004, "<0.1 %"), (0.0149, "1.5 %"), (0.0996, "10 %"), (0.4, "40 %")]
)
def test_shares(part: float, said: str) -> None:
    assert figures.share(part) == said


def test_the_spread_is_the_further_end_of_the_interval() -> None:
    assert figures.spread(Estimate(100, 99, 104)) == "±4.0 %"
    assert figures.spread(Estimate(100, 90, 104)) == "±10 %"
    assert figures.spread(Estimate(100, 90, 340)) == "±>100 %"


def test_an_interval_without_end_is_not_said() -> None:
    assert figures.spread(Estimate(100, 0, math.inf)) == ""


@pytest.mark.parametrize(("seconds", "said"), [(96, "96 s"), (412, "6 min 52 s"), (7500, "2 h 5 min")])
def test_durations(seconds: float, said: str) -> None:
    assert figures.duration(seconds) == said


def test_bytes_are_counted_in_thousands() -> None:
    assert figures.megabytes(112_000) == "112 kB"
    assert figures.megabytes(1_242_000) == "1.24 MB"


def test_a_difference_has_a_sign() -> None:
    assert [figures.signed(value) for value in (-0.281, 1.1)] == ["−0.28", "+1.10"]


def test_counts_have_their_noun() -> None:
    assert [figures.counted(count, "start") for count in (1, 2)] == ["1 start", "2 starts"]
