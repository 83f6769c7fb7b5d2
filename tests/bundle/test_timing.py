"""Timing of bundles: statistics of samples that are given, and the structure of what real bundles give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from deploypipe.bundle import timing
from deploypipe.bundle.clock import Span
from deploypipe.bundle.process import Worker, WorkerError
from deploypipe.bundle.timing import Comparison, Rounds, Timing
from deploypipe.errors import DeployError
from deploypipe.tensors import Case

from .damage import ones

Log = list[tuple[str, Span]]


def blocks(*medians: float) -> tuple[tuple[float, ...], ...]:
    """Rounds of three runs, one of which was disturbed."""
    return tuple((each, each, each + 100) for each in medians)


def test_median_and_percentile_are_numpys() -> None:
    samples = tuple(float(each) for each in range(1, 201))
    found = Timing(samples)
    assert (found.p50, found.p90, found.slowest) == (100.5, pytest.approx(np.quantile(samples, 0.9)), 200.0)


def test_too_few_samples_have_no_percentile() -> None:
    assert Timing((1.0,) * 99).p90 is None
    assert Timing((1.0,) * 100).p90 == 1.0


def test_the_ratio_is_of_the_medians_of_each_round() -> None:
    compared = Comparison.of([Rounds(blocks(1, 2, 4), blocks(3, 6, 12))])
    assert (compared.ratio, compared.low, compared.high) == (3.0, 3.0, 3.0)
    assert compared.slower
    assert not compared.faster


def test_the_interval_is_that_of_the_median() -> None:
    ratios = np.random.default_rng(1).normal(0.8, 0.02, 16)
    rounds = Rounds(blocks(*[1.0] * 16), blocks(*ratios))
    low, high = rounds.interval()
    assert 0.75 < low < np.median(ratios) < high < 0.85
    assert Comparison.of([rounds]).faster
    assert rounds.interval() == (low, high)


def test_what_only_some_starts_say_is_not_beyond_doubt() -> None:
    same, slow = Rounds(blocks(1, 1), blocks(1, 1)), Rounds(blocks(1, 1), blocks(1.6, 1.6))
    compared = Comparison.of([same, slow, slow])
    assert (compared.ratio, compared.low, compared.high) == (1.6, 1.0, 1.6)
    assert not compared.slower


def test_a_comparison_keeps_all_samples_and_counts_the_warm_up() -> None:
    start = Rounds(blocks(1, 2), blocks(3, 4), warm_up=(10, 20))
    compared = Comparison.of([start, start])
    assert compared.base == Timing((1, 1, 101, 2, 2, 102) * 2, warm_up=20)
    assert compared.other == Timing((3, 3, 103, 4, 4, 104) * 2, warm_up=40)


def measure(log: Log, name: str, milliseconds: float) -> timing.Measure:
    """Pretends to run something, and logs when."""

    def run(span: Span) -> Sequence[float]:
        log.append((name, span))
        return [milliseconds] * span.runs

    return run


def ticking(step: float) -> Callable[[], float]:
    """A clock that is read once a round."""
    seconds = iter(np.arange(0, 1000 * step, step))
    return lambda: float(next(seconds))


def test_blocks_alternate_and_every_second_round_is_the_other_way_about() -> None:
    log: Log = []
    rounds = timing.interleaved(measure(log, "a", 1.0), measure(log, "b", 2.0), ticking(0.0001))
    assert log[:2] == [("a", timing.WARM_UP), ("b", timing.WARM_UP)]
    assert {span for _, span in log[2:]} == {timing.BLOCK}
    assert "".join(name for name, _ in log[2:]) == "abba" * (timing.ROUNDS // 2)
    assert rounds.warm_up == (timing.WARM_UP.runs, timing.WARM_UP.runs)
    assert set(rounds.ratios()) == {2.0}


def test_slow_things_stop_once_there_are_enough_rounds() -> None:
    rounds = timing.interleaved(measure([], "a", 1e3), measure([], "b", 1e3), ticking(timing.SECONDS + 1))
    assert len(rounds.base) == len(rounds.other) == timing.FEWEST_ROUNDS


def test_the_warm_up_is_counted_and_left_out() -> None:
    log: Log = []
    assert timing.measured(measure(log, "a", 1.5)) == Timing((1.5,) * timing.ENOUGH, timing.WARM_UP.runs)
    assert [span for _, span in log] == [timing.WARM_UP, timing.MEASURED]


def test_the_smallest_golden_vector_is_that_with_the_fewest_numbers() -> None:
    cases = [Case({"x": ones(rows, 4)}, {}) for rows in (5, 1, 3)]
    assert timing.smallest(cases) is cases[1]


@pytest.mark.parametrize("bundle", ["onnx_bundle", "hashing_script"])
def test_a_bundle_is_timed_with_its_smallest_golden_vector(request: pytest.FixtureRequest, bundle: str) -> None:
    found = timing.timed(request.getfixturevalue(bundle))
    assert len(found.samples_ms) >= 1
    assert found.warm_up >= 1
    assert 0 < min(found.samples_ms) <= found.p50 <= found.slowest


def test_each_run_is_timed_in_the_process_of_the_bundle(onnx_bundle: Path) -> None:
    with Worker(onnx_bundle) as worker:
        assert len(worker.time([ones(2, 4)], Span(runs=7, least=0.0, most=60.0))) == 7
        with pytest.raises(WorkerError, match="'x' is float32"):
            worker.time([ones(2, 5)], timing.BLOCK)
        assert worker.run([ones(2, 4)])[0].shape == (2, 3)


def test_two_bundles_of_a_model_are_compared(onnx_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "STARTS", 1)
    found = timing.compared(onnx_bundle, onnx_bundle, [ones(3, 4)])
    assert 0 < found.low <= found.ratio <= found.high
    assert min(len(found.base.samples_ms), len(found.other.samples_ms)) >= timing.FEWEST_ROUNDS


def test_bundles_of_different_outputs_are_not_compared() -> None:
    with pytest.raises(DeployError, match=r"shapes \[\[1, 3\]\], the other \[\[1, 4\]\]. Compare bundles of one model"):
        timing._check_shapes([ones(1, 3)], [ones(1, 4)])
