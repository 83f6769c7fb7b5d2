from __future__ import annotations

import numpy as np
import pytest

from benchmarks.kernels import stats


def test_median_ignores_rounds_that_a_lane_sat_out() -> None:
    assert stats.median(np.array([3.0, np.nan, 1.0, 2.0])) == 2.0
    assert np.isnan(stats.median(np.array([np.nan])))


def test_fastest_lane() -> None:
    samples = {"a": np.array([3.0, 3.0, 1.0]), "b": np.array([2.0, 2.0, 9.0])}
    assert stats.fastest(["a", "b"], samples) == "b"


def test_a_ratio_is_taken_within_rounds() -> None:
    # A neighbour makes every second round 10 times slower, for both lanes.
    slow = np.tile([1.0, 10.0], 20)
    figure = stats.estimate(lambda ours, theirs: theirs / ours, 2 * slow, 6 * slow)
    assert (figure.value, figure.low, figure.high) == (3.0, 3.0, 3.0)


def test_the_interval_holds_the_true_ratio() -> None:
    random = np.random.default_rng(5)
    inside = 0
    for _ in range(100):
        ours, theirs = (scale * random.lognormal(0, 0.2, 40) for scale in (1.0, 4.0))
        figure = stats.estimate(lambda a, b: b / a, ours, theirs)
        assert figure.low <= figure.value <= figure.high
        inside += figure.low <= 4.0 <= figure.high
    assert 88 <= inside <= 100


def test_rounds_in_which_one_is_missing_do_not_count() -> None:
    figure = stats.estimate(lambda a, b: b / a, np.array([1.0, 1.0, 1.0]), np.array([2.0, np.nan, 4.0]))
    assert figure.value == 3.0


@pytest.mark.parametrize("values", [[], [np.nan]])
def test_nothing_is_not_a_figure(values: list[float]) -> None:
    assert np.isnan(stats.estimate(lambda a: a, np.array(values, np.float64)).value)
