"""Batches that are run in pieces: how they are cut, and that the answers are put together in order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from deploypipe.errors import DeployError
from deploypipe.runtimes.tflite import batches

from .models import Array


def test_a_key_names_its_batch() -> None:
    keys = [batches.key_of(batch) for batch in (8, 1, 16)]
    assert keys == ["batch_8", "batch_1", "batch_16"]
    assert batches.of(keys) == (1, 8, 16)
    assert batches.of(["serving_default"]) == ()


@pytest.mark.parametrize(
    ("rows", "sizes", "pieces"),
    [(1, (1, 8), [1]), (8, (1, 8), [8]), (19, (8, 1), [8, 8, 1, 1, 1]), (12, (4, 6), [6, 6]), (3, (3,), [3])],
)
def test_the_largest_pieces_come_first(rows: int, sizes: tuple[int, ...], pieces: list[int]) -> None:
    assert batches.pieces(rows, sizes) == pieces


@pytest.mark.parametrize(("rows", "sizes"), [(0, (1, 8)), (7, (4, 2)), (3, (4,))])
def test_a_batch_that_the_sizes_do_not_add_up_to_is_refused(rows: int, sizes: tuple[int, ...]) -> None:
    with pytest.raises(DeployError, match="which do not add up") as caught:
        batches.pieces(rows, sizes)
    assert "1" in caught.value.cure


def test_answers_of_pieces_stand_in_the_order_of_the_rows() -> None:
    seen = []

    def doubled(batch: int, inputs: Sequence[Array]) -> Sequence[Array]:
        seen.append((batch, [len(each) for each in inputs]))
        return [inputs[0] * 2, inputs[1].sum(1)]

    rows = [np.arange(11), np.arange(33).reshape(11, 3)]
    found = batches.run(rows, (1, 4), doubled)
    assert seen == [(4, [4, 4]), (4, [4, 4]), (1, [1, 1]), (1, [1, 1]), (1, [1, 1])]
    np.testing.assert_array_equal(found[0], rows[0] * 2)
    np.testing.assert_array_equal(found[1], rows[1].sum(1))
