"""Intervals hold what they promise for processes that differ and for runs that come in bursts; noise stays noise."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploypipe.profile import statistics
from deploypipe.profile.receipt import BundleFacts, Receipt, Start
from deploypipe.profile.statistics import Estimate
from tests.profile.processes import HEAVY, OFTEN_SLOW, QUIET, USUAL, Array, Processes

KINDS = {"quiet": QUIET, "usual": USUAL, "heavy": HEAVY, "often slow": OFTEN_SLOW}
kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)

STARTS = [[100, 102, 101], [110, 108, 109], [105, 104, 106], [99, 98, 97]]


def share(intervals: Iterable[Estimate | None], truth: float) -> float:
    """Returns how often intervals hold the truth."""
    return float(np.mean([each is not None and each.low <= truth <= each.high for each in intervals]))


@kinds
@pytest.mark.parametrize("count", [2, 3, 5, 6, 7, 8, 10, 11, 20])
def test_the_interval_of_a_median_covers_95_of_100(kind: Processes, count: int) -> None:
    chance = np.random.default_rng(count)
    truth = float(np.median(kind.starts(chance, 200_000)))
    found = share((statistics.median(each) for each in kind.starts(chance, 500, count)), truth)
    assert 0.9 <= found <= 0.99


@pytest.mark.parametrize(
    ("part", "runs", "repeats"),
    [(0.5, 5, 500), (0.5, 500, 200), (0.9, 7, 500), (0.9, 500, 200), (0.99, 67, 500), (0.99, 500, 200)],
)
def test_the_interval_of_a_percentile_covers_95_of_100_from_its_floor_on(part: float, runs: int, repeats: int) -> None:
    chance = np.random.default_rng(0)
    usual = np.median(USUAL.starts(chance, 200_000))
    truth = 1e6 * usual * float(np.quantile(USUAL.runs(chance, 1000, 1000), part))
    found = share((statistics.quantile(each, part) for each in USUAL.samples(chance, repeats, 10, runs)), truth)
    assert 0.9 <= found <= 0.99


def test_slow_processes_leave_the_interval_narrow() -> None:
    one_is_slow = [0.99, 0.995, 0.995, 1, 1, 1, 1.005, 1.005, 1.01, 1.6]
    found = statistics.median(one_is_slow)
    assert found
    assert found.high < 1.02


def test_a_ratio_within_a_profile_is_free_of_what_slows_a_round_down() -> None:
    chance = np.random.default_rng(0)
    shape = (500, 10, 1)
    rounds = np.exp(0.2 * chance.standard_normal(shape))
    pairs = zip(rounds * USUAL.starts(chance, *shape), 1.05 * rounds * USUAL.starts(chance, *shape), strict=True)
    found = [statistics.ratio(base, other) for base, other in pairs]
    assert 0.9 <= share(found, 1.05) <= 0.99
    assert np.median([each.high - each.low for each in found]) < 0.04


@kinds
@pytest.mark.parametrize("counts", [(4, 4), (5, 8), (10, 10), (20, 10)])
def test_the_interval_of_a_change_between_profiles_covers_95_of_100(kind: Processes, counts: tuple[int, int]) -> None:
    chance = np.random.default_rng(sum(counts))
    old, new = (kind.starts(chance, 500, count) for count in counts)
    assert 0.93 <= share(map(statistics.change, old, 1.05 * new), 1.05) <= 0.99


def test_two_lanes_of_one_bundle_are_told_apart_one_time_in_twenty_and_hardly_ever_beyond_the_noise_floor() -> None:
    chance = np.random.default_rng(0)
    lanes, twins = USUAL.starts(chance, 2, 4000, 10, 1), USUAL.starts(chance, 2, 4000, 10, 1)
    found = [statistics.ratio(base, other) for base, other in zip(*lanes, strict=True)]
    floors = [statistics.noise_floor(base, other) for base, other in zip(*twins, strict=True)]
    assert np.mean([statistics.distinguishable(each, 0) for each in found]) <= 0.06
    assert np.mean([statistics.distinguishable(*each) for each in zip(found, floors, strict=True)]) <= 0.02


def test_a_ratio_within_the_noise_floor_is_not_distinguishable() -> None:
    found = Estimate(1.03, 1.02, 1.04)
    assert statistics.distinguishable(found, 0.02)
    assert not statistics.distinguishable(found, 0.04)
    assert not statistics.distinguishable(Estimate(1.03, 0.99, 1.04), 0)
    assert statistics.distinguishable(Estimate(0.9, 0.89, 0.92), 0.1)
    assert not statistics.distinguishable(Estimate(0.9, 0.89, 0.92), 0.12)


def test_the_noise_floor_is_what_two_lanes_of_one_bundle_seem_to_differ_by() -> None:
    chance = np.random.default_rng(0)
    floors = [statistics.noise_floor(*USUAL.samples(chance, 2, 10, 50)) for _ in range(100)]
    assert 0.005 < np.median(floors) < 0.03
    assert statistics.noise_floor(STARTS, STARTS) == pytest.approx(0)
    assert statistics.noise_floor(STARTS[:1], STARTS[:1]) == math.inf


def test_a_device_that_slows_down_while_it_is_profiled_drifts() -> None:
    chance = np.random.default_rng(0)
    steady = (1e6 * USUAL.starts(chance, 20, 10)).astype(int)
    warmer = (steady * np.linspace(1, 1.2, 10)).astype(int)
    assert drift(steady) < 0.01
    assert 0.2 < drift(warmer) < 0.3
    assert statistics.drift([]) == 0


def drift(lanes: Array) -> float:
    return statistics.drift([receipt(tuple(start(*each) for each in enumerate(zip(lane)))) for lane in lanes.tolist()])


def test_a_slow_start_does_not_raise_the_noise_floor() -> None:
    usual, slow = [[100], [101], [99], [100], [102]], [[100], [101], [99], [160], [102]]
    assert statistics.noise_floor(usual, slow) == pytest.approx(0)


@pytest.mark.parametrize(("part", "floor"), [(0.9, 64), (0.99, 662)])
def test_a_percentile_is_refused_below_its_floor(part: float, floor: int) -> None:
    samples = list(range(1, floor + 1))
    assert statistics.quantile([samples[::2], samples[1::2]], part)
    assert statistics.quantile([samples[1::2], samples[2::2]], part) is None
    assert statistics.refusal([samples[1:]], part) == f"it takes {floor} samples, and there are {floor - 1}"


def test_a_percentile_is_refused_where_single_starts_are_too_short() -> None:
    starts = [[100] * 40] * 20
    assert statistics.quantile(starts, 0.9)
    assert statistics.quantile(starts, 0.99) is None
    assert statistics.refusal(starts, 0.99) == "it takes 66 samples in each start, and there are 40"


def test_ten_starts_at_the_floor_are_enough() -> None:
    assert statistics.refusal([[1] * 66] * 8 + [[1] * 67] * 2, 0.99) == ""
    assert statistics.refusal([[1] * 6] * 6 + [[1] * 7] * 4, 0.9) == ""


def test_one_start_has_a_value_and_no_interval() -> None:
    assert statistics.median([3.0]) == Estimate(pytest.approx(3), 0, math.inf)
    assert statistics.quantile(STARTS[:1], 0.5) == Estimate(pytest.approx(101), 0, math.inf)
    assert not statistics.distinguishable(statistics.ratio(STARTS[:1], STARTS[1:2]), 0)


def test_what_was_not_measured_has_no_median() -> None:
    assert statistics.median([]) is None
    assert statistics.quantile([[], []], 0.5) is None
    assert statistics.refusal([], 0.9) == "it was not measured"


def test_three_starts_on_a_side_do_not_tell_a_change() -> None:
    assert statistics.change([1, 1.01, 0.99], [2, 2.01, 1.99]) is None
    assert statistics.change([1, 1.01, 0.99, 1.02], [2, 2.01, 1.99, 2.03])


def test_a_lane_that_ended_early_is_compared_as_far_as_it_goes() -> None:
    longer = [*STARTS, [1000, 1000]]
    assert statistics.ratio(STARTS, longer) == statistics.ratio(STARTS, STARTS)


@given(st.lists(st.floats(1e-3, 1e9), min_size=1, max_size=30))
def test_an_estimate_lies_within_its_interval_and_scales(values: list[float]) -> None:
    found, doubled = statistics.median(values), statistics.median([2 * value for value in values])
    assert found
    assert doubled
    assert found.low <= found.value * (1 + 1e-9)
    assert found.value <= found.high * (1 + 1e-9)
    assert (doubled.value, doubled.low) == (pytest.approx(2 * found.value), pytest.approx(2 * found.low))


def start(number: int, samples: tuple[int, ...], settled: bool = True) -> Start:
    times = {"process_ms": 20.0, "load_ms": 2.0, "first_ns": 500_000, "peak_mb": 40.0}
    return Start(round=number, warm_up=10, settled=settled, samples_ns=samples, **times)


def receipt(starts: tuple[Start, ...], twin: tuple[Start, ...] = ()) -> Receipt:
    named = {"model": "lltm", "target": "laptop", "runtime": "onnxruntime", "runtime_version": "1", "precision": "fp32"}
    bundle = BundleFacts(name="lltm/laptop/ort", form="", bundle_bytes=2, artifact_bytes=1, **named)
    return Receipt(bundle=bundle, status="measured", starts=starts, twin=twin)


def test_a_summary_says_what_the_starts_of_a_receipt_say() -> None:
    starts = tuple(start(number, (100, 110) * 5, settled=number > 0) for number in range(8))
    found = statistics.summary(receipt((*starts, start(8, (200, 220)))))
    assert (found.samples, found.starts, found.unsettled) == (82, 9, 1)
    assert found.spread == pytest.approx(2)
    assert found.median == Estimate(*(pytest.approx(105) for _ in range(3)))
    assert found.p90
    assert found.p99 is None
    assert found.refused == {"p99": "it takes 662 samples, and there are 82"}
    assert found.cold_start_ms
    assert found.cold_start_ms.value == pytest.approx(20.5)
    assert (found.load_ms.value, found.first_ms.value) == (pytest.approx(2), pytest.approx(0.5))
    assert found.noise_floor == 0


def test_what_a_device_does_not_tell_is_left_out_of_a_summary() -> None:
    silent = start(0, (100,)).model_copy(update={"process_ms": None, "peak_mb": None})
    found = statistics.summary(receipt((silent,)))
    assert (found.cold_start_ms, found.peak_mb) == (None, None)


def test_a_summary_of_nothing_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="lltm/laptop/ort has no samples"):
        statistics.summary(receipt(()))


def test_the_noise_floor_of_a_model_is_that_of_its_bundle_with_two_lanes() -> None:
    starts, twin = (tuple(start(number, (each,)) for number in range(6)) for each in (100, 103))
    floors = statistics.noise_floors([receipt(starts), receipt(starts, twin)])
    assert floors == {"lltm": pytest.approx(0.03)}
    assert statistics.summary(receipt(starts, twin)).noise_floor == pytest.approx(0.03)
    assert statistics.noise_floors([receipt(starts, twin)], statistics.peaks) == {"lltm": pytest.approx(0)}
