from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.kernels import timing
from benchmarks.kernels.timing import Lane, Outputs
from deploypipe.errors import VerdictError


class Machine:
    """A clock that only work advances, and a record of the work."""

    def __init__(self) -> None:
        self.now = 0.0
        self.runs: list[tuple[str, int]] = []

    def lane(self, name: str, seconds: float) -> Lane:
        def run(times: int) -> None:
            self.runs.append((name, times))
            self.now += seconds * times

        return Lane(name, run)

    def clock(self) -> float:
        return self.now

    def names(self) -> list[str]:
        return [name for name, _ in self.runs]


def lane(name: str, *values: Any, group: str = "", limit: float = 1e-4) -> Lane:
    def result() -> Outputs:
        return [np.asarray(value) for value in values]

    return Lane(name, lambda times: None, result, group, limit)


def test_a_sample_is_the_time_of_one_run() -> None:
    machine = Machine()
    lanes = [machine.lane("quick", 3e-6), machine.lane("slow", 5e-3)]
    samples = timing.interleave(lanes, 4, machine.clock)
    np.testing.assert_allclose(samples["quick"], 3.0)
    np.testing.assert_allclose(samples["slow"], 5000.0)


def test_a_slower_lane_runs_less_often_in_a_sample() -> None:
    machine = Machine()
    quick, slow = (
        timing.pace(machine.lane(name, seconds), machine.clock) for name, seconds in (("q", 1e-6), ("s", 1.0))
    )
    assert quick.repeats * 1e-6 >= timing.SAMPLE_SECONDS
    assert quick.repeats * 1e-6 < 10 * timing.SAMPLE_SECONDS
    assert (quick.every, slow.repeats, slow.every) == (1, 1, 4)


def test_every_lane_has_its_turn_in_every_round_and_the_order_changes() -> None:
    machine = Machine()
    lanes = [machine.lane(name, 0.1) for name in "abc"]
    timing.interleave(lanes, 12, machine.clock)
    order = "".join(machine.names()[-36:])
    rounds = [order[start : start + 3] for start in range(0, 36, 3)]
    assert all(sorted(each) == ["a", "b", "c"] for each in rounds)
    assert len(set(rounds)) > 3


def test_a_quick_lane_runs_once_before_each_sample() -> None:
    machine = Machine()
    timing.interleave([machine.lane("quick", 1e-2), machine.lane("slow", 0.1)], 1, machine.clock)
    assert sorted(machine.names()[-3:]) == ["quick", "quick", "slow"]


def test_a_lane_that_sits_rounds_out() -> None:
    machine = Machine()
    samples = timing.interleave([machine.lane("slow", 1.0), machine.lane("quick", 1e-2)], 9, machine.clock)
    assert np.flatnonzero(~np.isnan(samples["slow"])).tolist() == [0, 4, 8]
    assert not np.isnan(samples["quick"]).any()


def test_what_prepares_a_lane_is_not_timed() -> None:
    machine = Machine()

    def prepare() -> None:
        machine.now += 100

    work = machine.lane("work", 5e-3)
    prepared = Lane("prepared", work.run, prepare=prepare)
    samples = timing.interleave([prepared], 2, machine.clock)
    np.testing.assert_allclose(samples["prepared"], 5000.0, rtol=1e-6)


def test_equal_outputs_pass() -> None:
    timing.check([lane("a", [1.0, 2.0], [3]), lane("b", [1.0, 2.00001], [3])])


def test_groups_are_not_compared_with_each_other() -> None:
    timing.check([lane("a", [1.0]), lane("b", [2.0], group="other")])


@pytest.mark.parametrize(
    "wrong",
    [([1.0, 2.1], [3]), ([1.0, 2.0], [4]), ([1.0, np.nan], [3]), ([1.0], [3])],
    ids=["float", "int", "nan", "shape"],
)
def test_a_wrong_peer_is_an_error(wrong: tuple[list[float], list[int]]) -> None:
    with pytest.raises(VerdictError, match="'wrong' does not compute what 'ours' does"):
        timing.check([lane("ours", [1.0, 2.0], [3]), lane("wrong", *wrong)])


def test_a_lane_may_be_given_more_room() -> None:
    timing.check([lane("ours", [1.0, 2.0]), lane("rough", [1.0, 2.01], limit=0.1)])


def test_outputs_that_the_next_run_overwrites_are_compared_all_the_same() -> None:
    shared = np.zeros(2)

    def writes(value: float) -> Lane:
        def result() -> Outputs:
            shared[:] = value, 0
            return [shared]

        return Lane(str(value), lambda times: None, result)

    with pytest.raises(VerdictError):
        timing.check([writes(1.0), writes(2.0)])
