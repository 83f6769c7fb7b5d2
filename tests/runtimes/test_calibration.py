"""Calibration data is cut into pieces that a model admits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from deploypipe import ModelSpec
from deploypipe.capture import Program, capture, resolve
from deploypipe.errors import DeployError
from deploypipe.runtimes import calibration


def program(folder: Path, rows: int, *sizes: int, **fields: Any) -> Program:
    """A model of two columns whose calibration data counts its rows up, in batches of some sizes."""
    counted = torch.arange(float(sum(sizes))).unsqueeze(1).expand(-1, 2)
    batches = [(part,) for part in counted.split(list(sizes))] if sizes else None
    spec = resolve(ModelSpec("m", torch.nn.ReLU(), (torch.rand(rows, 2),), calibration=batches, **fields))
    capture(spec, None, folder)
    return Program.load(spec, folder)


def rows(found: Program) -> list[list[int]]:
    return [[int(row[0]) for row in sample] for (sample,) in calibration.samples(found, "int8-static")]


def test_a_dynamic_batch_takes_the_data_as_it_is(tmp_path: Path) -> None:
    assert rows(program(tmp_path, 2, 3, 1)) == [[0, 1, 2], [3]]


def test_a_fixed_batch_is_filled_up_from_the_beginning_of_the_data(tmp_path: Path) -> None:
    assert rows(program(tmp_path, 2, 3, 1, dynamic_axes={})) == [[0, 1], [2, 0], [3, 3]]


def test_no_more_rows_are_used_than_are_worth_their_time(tmp_path: Path) -> None:
    found = program(tmp_path, 2, *(calibration.ROWS // 2,) * 3)
    assert sum(map(len, rows(found))) == calibration.ROWS


def test_without_data_the_precision_that_needs_some_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="int8-static needs calibration data"):
        list(calibration.samples(program(tmp_path, 2), "int8-static"))
