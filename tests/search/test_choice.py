"""Which settings keep the budgets, and what is said of those that do not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploypipe.search import choice
from deploypipe.search.candidate import Candidate, Measured, Speed
from deploypipe.search.goals import Goals

BASE = Measured(candidate=Candidate(), size=1_000_000)


def point(precision: str = "int8-dynamic", size: int = 300_000, **fields: Any) -> Measured:
    return Measured(candidate=Candidate(precision=precision), size=size, **fields)


def speed(ratio: float, spread: float = 0.01, p90: float = 2.0) -> Speed:
    return Speed(p50_ms=1.0, p90_ms=p90, ratio=ratio, low=ratio - spread, high=ratio + spread)


@pytest.mark.parametrize(
    ("measured", "goals", "reason"),
    [
        (point(failure="logits: normalized_error 3, limit 0.1"), Goals(), "normalized_error 3"),
        (point(drop=1.3), Goals(), r"loses 1.30 points, 0.5 may be lost"),
        (point(), Goals(size_mb=0.2), r"takes 0.3 MB, the budget is 0.2 MB"),
        (point(speed=speed(1.4)), Goals(), r"is 1.40x slower here"),
        (point(speed=speed(0.5, p90=7.0)), Goals(p90_ms=5), r"p90 of 7 ms, the budget is 5 ms"),
        (point(size=1_000_001), Goals(), r"takes 1000.0 kB, fp32 1000.0 kB, and is no faster"),
    ],
)
def test_what_is_outside_the_budgets_is_said_so(measured: Measured, goals: Goals, reason: str) -> None:
    assert reason in choice.reason_against(measured, BASE, goals)
    assert choice.allowed([measured], BASE, goals) == []


def test_a_setting_that_cannot_be_told_from_fp32_in_time_is_taken_for_its_size() -> None:
    assert not choice.reason_against(point(speed=speed(1.02, spread=0.05)), BASE, Goals())


def test_a_larger_file_is_taken_when_it_is_faster() -> None:
    assert not choice.reason_against(point(size=1_100_000, speed=speed(0.5)), BASE, Goals())


def test_an_explicit_time_admits_what_is_slower_than_fp32() -> None:
    assert not choice.reason_against(point(speed=speed(1.4, p90=4.0)), BASE, Goals(p90_ms=5))


def test_fp32_is_kept_where_everything_else_is_worse() -> None:
    points = [BASE, point(speed=speed(7.5)), point("int8-static", drop=80.0)]
    assert choice.chosen(choice.allowed(points, BASE, Goals())) == BASE


def test_nothing_is_chosen_where_nothing_fits() -> None:
    assert choice.chosen(choice.allowed([BASE, point()], BASE, Goals(size_mb=0.1))) is None


def test_of_two_files_of_one_size_the_one_that_loses_less_is_chosen() -> None:
    worse, better = point(drop=0.4), point("int8-static", drop=0.1)
    assert choice.chosen([worse, better]) == better


def test_the_front_has_what_no_other_setting_beats() -> None:
    small, good, beaten = point(drop=0.4), point("int8-static", 400_000), point("int8-weight", 400_000, drop=0.2)
    assert choice.front([beaten, good, small]) == [small, good]


def test_of_two_on_the_front_of_one_size_the_one_that_loses_less_comes_first() -> None:
    faster, better = point(drop=0.4, speed=speed(0.5)), point("int8-static", drop=0.1)
    assert choice.front([faster, better]) == choice.front([better, faster]) == [better, faster]
    assert choice.chosen([faster, better]) == better


_points = st.lists(
    st.builds(
        Measured,
        candidate=st.builds(Candidate, precision=st.text(min_size=1, max_size=3)),
        size=st.integers(1, 2_000_000),
        drop=st.floats(-1, 5),
        failure=st.sampled_from(["", "", "it failed"]),
        speed=st.none() | st.builds(speed, st.floats(0.2, 3)),
    ),
    max_size=12,
)


@given(_points, st.builds(Goals, size_mb=st.none() | st.floats(0.1, 2), p90_ms=st.none() | st.floats(0.5, 4)))
def test_nothing_outside_the_budgets_is_ever_on_the_front_or_chosen(points: list[Measured], goals: Goals) -> None:
    front = choice.front(choice.allowed([BASE, *points], BASE, goals))
    for each in front:
        assert not each.failure
        assert each.drop <= goals.accuracy_drop
        assert goals.size_mb is None or each.size <= goals.size_mb * 1e6
        assert goals.p90_ms is None or each.speed is None or each.speed.p90_ms <= goals.p90_ms
    if front:
        assert choice.chosen(front) == front[0]
