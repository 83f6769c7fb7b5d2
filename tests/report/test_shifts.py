"""What all bundles of a device did together is told once, and no bundle is blamed for it."""

from __future__ import annotations

import numpy as np
import pytest

from deploypipe.profile.receipt import Report
from deploypipe.report.comparison import Comparison, compare
from tests.profile.processes import USUAL, Array
from tests.report.test_comparison import ROUNDS, latencies, on, receipt, regressions, report

BUNDLES = 20


def profile(seed: int, times: float | Array = 1, drift: float = 0) -> Report:
    """Bundles that take so many times as long, on a device that becomes slower from round to round."""
    lanes = USUAL.starts(np.random.default_rng(seed), 2, BUNDLES, ROUNDS) * np.exp(drift * np.arange(ROUNDS))
    lanes *= np.broadcast_to(times, BUNDLES)[:, None]
    pairs = enumerate(zip(*lanes, strict=True))
    return report(on(*(receipt(f"model{number}", *pair) for number, pair in pairs)))


def shift_of_latency(found: Comparison) -> str:
    (shift,) = [each for each in found.shifts if each.figure == "latency"]
    return shift.status


def test_a_change_of_what_all_share_is_a_regression_of_all_together() -> None:
    found = compare(profile(1), profile(2, times=1.1), 0.05)
    assert shift_of_latency(found) == "regression"
    assert regressions(found) == 0
    assert found.worse


def test_a_device_that_drifts_blames_nobody() -> None:
    """It was slower from round to round, so that it is slower in the second profile says nothing of the build."""
    old, new = profile(1, drift=0.02), profile(2, times=1.2, drift=0.02)
    found = compare(old, new, 0.05)
    assert shift_of_latency(found) == "same"
    assert {row.status for row in latencies(found)} == {"same"}
    assert not found.worse
    assert min(row.ratio.low for row in latencies(found) if row.ratio) > 1.05


def test_a_bundle_that_is_slower_than_all_others_stands_out() -> None:
    factors = np.full(BUNDLES, 1.1)
    factors[3] = 1.4
    found = compare(profile(1), profile(2, times=factors), 0.05)
    assert [row.bundle for row in latencies(found) if row.status == "regression"] == ["model3"]
    assert {round(row.shift, 1) for row in latencies(found)} == {1.1}


def test_a_bundle_that_stayed_where_all_others_became_slower_is_better_than_they() -> None:
    factors = np.full(BUNDLES, 1.4)
    factors[3] = 1
    found = compare(profile(1), profile(2, times=factors), 0.05)
    assert [row.bundle for row in latencies(found) if row.status == "improvement"] == ["model3"]
    assert found.worse, "the typical one is slower"


def test_a_change_of_some_is_no_change_of_all() -> None:
    factors = np.where(np.arange(BUNDLES) < BUNDLES // 2, 1.2, 1)
    found = compare(profile(1), profile(2, times=factors), 0.05)
    assert not found.shifts
    assert regressions(found) == BUNDLES // 2


def test_two_profiles_of_one_build_have_none() -> None:
    found = [compare(profile(2 * seed), profile(2 * seed + 1), 0.05) for seed in range(50)]
    assert sum(len(each.shifts) for each in found) <= 1
    assert not any(each.worse for each in found)


@pytest.mark.parametrize(("times", "words"), [(1.1, ("grew", "was busier")), (0.9, ("shrank", "was less busy"))])
def test_it_is_a_sentence(times: float, words: tuple[str, str]) -> None:
    (shift,) = compare(profile(1), profile(2, times=times), 0.05).shifts
    said = shift.describe()
    assert said.startswith(f"On local, latency {words[0]} for 20 of 20 bundles, {shift.ratio.value:.3f} times for the")
    assert words[1] in said


def test_few_bundles_are_judged_alone() -> None:
    old, new = (report(on(*(receipt(str(number), [time] * 8) for number in range(7)))) for time in (1.0, 1.2))
    found = compare(old, new, 0.05)
    assert not found.shifts
    assert regressions(found) == 7
