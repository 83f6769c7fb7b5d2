"""The distances by which outputs are judged."""

from __future__ import annotations

import numpy as np
import pytest

from deploypipe.parity import metric_for, normalized_error, unequal_share

REFERENCE = np.array([1.0, 2.0, 3.0, 4.0], "float32")


def test_equal_outputs_have_no_error() -> None:
    assert normalized_error(REFERENCE, REFERENCE) == 0
    assert unequal_share(REFERENCE, REFERENCE) == 0


@pytest.mark.parametrize("scale", [1e-16, 1.0, 1e10])
def test_the_error_does_not_depend_on_the_scale_of_the_model(scale: float) -> None:
    output = np.array([1.0, 2.0, 3.0, 5.0])
    assert normalized_error(output * scale, REFERENCE * scale) == pytest.approx(0.5 / np.std(REFERENCE))


def test_a_constant_shift_is_an_error() -> None:
    assert normalized_error(REFERENCE + 1, REFERENCE) == pytest.approx(1 / np.std(REFERENCE))


def test_a_constant_reference_is_measured_by_its_magnitude_and_zero_absolutely() -> None:
    assert normalized_error(np.full(3, 11.0), np.full(3, 10.0)) == pytest.approx(0.1)
    assert normalized_error(np.full(3, 0.25), np.zeros(3)) == pytest.approx(0.25)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_not_finite_must_be_one_in_the_reference_too(value: float) -> None:
    broken = np.array([1.0, value, 3.0, 4.0], "float32")
    assert normalized_error(broken, REFERENCE) == np.inf
    assert normalized_error(REFERENCE, broken) == np.inf
    assert normalized_error(broken, broken) == 0


def test_an_empty_output_is_equal_to_an_empty_reference() -> None:
    assert normalized_error(np.zeros((0, 3)), np.zeros((0, 3))) == 0
    assert unequal_share(np.zeros((0, 3)), np.zeros((0, 3))) == 0


def test_integers_are_judged_by_the_share_that_differs() -> None:
    assert metric_for(np.array([1, 2])).name == "unequal_share"
    assert metric_for(np.array([True])).name == "unequal_share"
    assert metric_for(REFERENCE).name == "normalized_error"
    assert unequal_share(np.array([1, 2, 3, 5]), np.array([1, 2, 3, 4])) == 0.25
