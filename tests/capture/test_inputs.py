"""The sizes that a model is exported and tested with, and the data for them."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from deploypipe import Axis, ModelSpec
from deploypipe.capture import resolve
from deploypipe.capture.inputs import drawn, enlarged, export_sizes, golden_sizes


def spec(**fields: Any) -> ModelSpec:
    given = {"name": "m", "module": torch.nn.Identity(), "example_inputs": (torch.tensor([[1.0, 2.0], [3.0, 4.0]]),)}
    return resolve(ModelSpec(**(given | fields)))


@pytest.mark.parametrize(
    ("low", "high"), [(1, 1024), (1, 64), (5, 1024), (17, 64), (1, 17), (1, 5), (1, 4), (2, 4), (1, 3), (100, 102)]
)
def test_golden_vectors_have_two_sizes_other_than_the_exported_one(low: int, high: int) -> None:
    axes = {"batch": Axis("batch", low, high)}
    sizes = {export_sizes(axes)["batch"], *(each["batch"] for each in golden_sizes(axes))}
    assert len(sizes) == 3
    assert all(low <= size <= high for size in sizes)


def test_a_narrow_range_is_used_as_far_as_it_goes() -> None:
    axes = {"one": Axis("one", 4, 4), "two": Axis("two", 4, 5)}
    assert [(each["one"], each["two"] in (4, 5)) for each in golden_sizes(axes)] == [(4, True), (4, True)]


def test_the_smallest_size_is_among_the_golden_vectors() -> None:
    assert golden_sizes({"batch": Axis("batch", 1, 64)})[0] == {"batch": 1}


def test_axes_are_exported_with_different_sizes() -> None:
    assert export_sizes({"batch": Axis("batch"), "time": Axis("time")}) == {"batch": 17, "time": 18}


def test_an_example_is_enlarged_by_repeating_it() -> None:
    (larger,) = enlarged(spec(), {"batch": 5})
    assert larger.tolist() == [[1, 2], [3, 4], [1, 2], [3, 4], [1, 2]]


def test_an_empty_example_is_enlarged_too() -> None:
    (larger,) = enlarged(spec(example_inputs=(torch.zeros(0, 2),)), {"batch": 3})
    assert larger.shape == (3, 2)


def test_rows_are_drawn_from_the_calibration_data() -> None:
    rows = torch.arange(20.0).reshape(10, 2) + 100
    (chosen,) = drawn(spec(calibration=[(rows[:6],), (rows[6:],)]), {"batch": 5}, seed=0)
    assert chosen.shape == (5, 2)
    assert all(row in rows.tolist() for row in chosen.tolist())


def test_rows_of_several_inputs_stay_together() -> None:
    rows = torch.arange(10.0)
    two = spec(module=torch.nn.Bilinear(1, 1, 1), example_inputs=(rows[:2], rows[:2]), calibration=[(rows, 2 * rows)])
    one, other = drawn(two, {"batch": 5}, seed=0)
    assert torch.equal(2 * one, other)


def test_without_calibration_values_are_those_of_the_example() -> None:
    ids = torch.tensor([[3, 7]])
    (chosen,) = drawn(spec(example_inputs=(ids,)), {"batch": 5}, seed=0)
    assert chosen.dtype == torch.int64
    assert set(chosen.flatten().tolist()) <= {3, 7}


def test_a_constant_example_becomes_noise_since_it_would_hide_errors() -> None:
    (chosen,) = drawn(spec(example_inputs=(torch.ones(2, 3),)), {"batch": 5}, seed=0)
    assert chosen.unique().numel() == 15


def test_a_seed_gives_the_same_inputs_again_and_another_gives_others() -> None:
    one, again, other = (drawn(spec(), {"batch": 50}, seed)[0] for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
