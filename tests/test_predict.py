"""Running a model over a data set in pieces, and scoring it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from deploypipe.predict import batch_axis, chunked, scores_of
from deploypipe.tensors import TensorInfo


def info(*shape: int | str) -> TensorInfo:
    return TensorInfo(name="x", dtype="float32", shape=shape)


@pytest.mark.parametrize(
    ("inputs", "outputs", "axis"),
    [
        ([info("batch", 4)], [info("batch")], "batch"),
        ([info("batch", 4)], [info(4, "batch")], None),
        ([info("batch"), info("time")], [info("batch")], None),
        ([info(3)], [info(3)], None),
        ([info("batch"), info()], [info("batch")], None),
    ],
)
def test_a_batch_can_be_split_along_the_axis_that_leads_everything(
    inputs: list[TensorInfo], outputs: list[TensorInfo], axis: str | None
) -> None:
    assert batch_axis(inputs, outputs) == axis


@pytest.mark.parametrize(
    ("size", "rows", "sizes"), [(4, 10, [4, 4, 2]), (4, 8, [4, 4]), (4, 3, [3]), (4, 0, [0]), (None, 9, [9])]
)
def test_a_large_batch_is_fed_in_pieces_and_joined(size: int | None, rows: int, sizes: list[int]) -> None:
    seen = []

    def predict(x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], ...]:
        seen.append(len(x))
        return x + y, x

    x = np.arange(rows)
    total, same = chunked(predict, size)(x, 10 * x)
    assert seen == sizes
    np.testing.assert_array_equal(total, 11 * x)
    np.testing.assert_array_equal(same, x)


def test_a_single_score_is_called_accuracy() -> None:
    assert scores_of(lambda predict: float(predict()[0]), lambda: (np.float32(97.5),)) == {"accuracy": 97.5}


def test_several_scores_keep_their_names() -> None:
    assert scores_of(lambda _: {"top1": 90.0, "top5": 99.0}, tuple) == {"top1": 90.0, "top5": 99.0}


def test_without_an_evaluation_there_is_no_score() -> None:
    assert scores_of(None, tuple) == {}
