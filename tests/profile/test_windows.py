"""A long run is told in seconds of its own time."""

from __future__ import annotations

from deploypipe.profile import windows

SECOND = 1_000_000_000


def test_each_second_has_its_runs_and_their_median() -> None:
    samples = [SECOND // 4] * 8 + [SECOND // 2] * 4
    found = windows.sustained(samples)
    assert found.seconds == 4
    assert [(each.at_s, each.runs, each.median_ns) for each in found.windows] == [
        (0, 4, SECOND // 4),
        (1, 4, SECOND // 4),
        (2, 2, SECOND // 2),
        (3, 2, SECOND // 2),
    ]


def test_a_second_that_is_not_whole_is_left_out_but_never_the_only_one() -> None:
    assert len(windows.sustained([SECOND // 2] * 5).windows) == 2
    assert len(windows.sustained([SECOND // 8] * 3).windows) == 1


def test_a_run_that_takes_longer_than_a_second_belongs_to_the_one_in_which_it_began() -> None:
    found = windows.sustained([3 * SECOND, SECOND])
    assert [(each.at_s, each.runs) for each in found.windows] == [(0, 1), (3, 1)]
