"""The trials of a search: the same for a seed, whether or not the search was interrupted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from deploypipe.search.candidate import Candidate, Measured
from deploypipe.search.space import Group, Space
from deploypipe.search.study import Study

GROUPS = tuple(Group(name, (name,)) for name in ("first", "middle", "head"))
SPACE = Space(("fp32", "int8-dynamic", "int8-static", "int4-weight"), GROUPS, ())
SIZES = {"fp32": 1000, "int8-dynamic": 300, "int8-static": 290, "int4-weight": 160}


class Laboratory:
    """Makes up a result for each setting; it may be switched off after a number of them."""

    def __init__(self, patience: int = 1000) -> None:
        self.asked: list[Candidate] = []
        self._patience = patience

    def measure(self, candidates: Sequence[Candidate]) -> Iterator[Measured]:
        for each in candidates:
            if len(self.asked) == self._patience:
                raise KeyboardInterrupt
            self.asked.append(each)
            size = SIZES[each.precision] + 50 * len(each.kept_float)
            drop = 0.0 if each.precision == "fp32" else 2.0 - 0.5 * len(each.kept_float)
            yield Measured(candidate=each, size=size, drop=drop)


def study(folder: Path, seed: int = 0, space: Space = SPACE) -> Study:
    return Study(folder / "trials.db", "a search", space, seed)


def test_it_begins_with_fp32_and_each_precision_alone(tmp_path: Path) -> None:
    points = study(tmp_path).run(4, Laboratory().measure)
    assert [each.candidate.label for each in points] == list(SPACE.precisions)


def test_no_setting_is_measured_twice(tmp_path: Path) -> None:
    laboratory = Laboratory()
    study(tmp_path).run(20, laboratory.measure)
    assert len(laboratory.asked) == len(set(laboratory.asked)) == 20


def test_a_seed_gives_the_same_settings_again(tmp_path: Path) -> None:
    one, other = (study(tmp_path / name).run(16, Laboratory().measure) for name in ("one", "other"))
    assert one == other


def test_another_seed_gives_others(tmp_path: Path) -> None:
    one, other = (study(tmp_path / str(seed), seed).run(16, Laboratory().measure) for seed in (0, 1))
    assert one != other


@pytest.mark.parametrize("patience", [0, 2, 9, 13])
def test_a_search_that_was_killed_goes_on_as_if_it_had_not_been(tmp_path: Path, patience: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        study(tmp_path / "killed").run(16, Laboratory(patience).measure)
    resumed = study(tmp_path / "killed").run(16, Laboratory().measure)
    assert resumed == study(tmp_path / "whole").run(16, Laboratory().measure)


def test_a_finished_search_measures_nothing_again(tmp_path: Path) -> None:
    done = study(tmp_path).run(8, Laboratory().measure)
    assert study(tmp_path).run(8, Laboratory(patience=0).measure) == done


def test_a_space_that_is_small_is_searched_until_its_end(tmp_path: Path) -> None:
    small = Space(("fp32", "int8-dynamic"), GROUPS[:1], ())
    assert len(study(tmp_path, space=small).run(100, Laboratory().measure)) == 2


def test_a_setting_that_fails_is_a_result(tmp_path: Path) -> None:
    def failing(candidates: Sequence[Candidate]) -> Iterator[Measured]:
        yield from (Measured(candidate=each, failure="no") for each in candidates)

    assert all(each.failure == "no" for each in study(tmp_path).run(10, failing))
