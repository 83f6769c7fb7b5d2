"""The load test of the example server runs, and counts what it does."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import serving
from deploypipe.errors import DeployError
from tests.bundle import damage


@pytest.mark.slow
def test_every_kind_of_request_is_measured(built_onnx: Path) -> None:
    lanes = serving.measure(built_onnx, [2], 0.5, [])
    assert [(lane.name, lane.clients) for lane in lanes] == [("bare run", 1), ("JSON", 2), ("binary", 2)]
    for lane, row in zip(lanes, serving.numbers(lanes), strict=True):
        assert row["errors"] == 0
        assert row["per_second"] * lane.wall == pytest.approx(len(lane.seconds))
        assert 0 < row["p50_ms"] <= row["p90_ms"] <= row["p99_ms"]
    assert serving.table(lanes).row_count == 3


def test_a_server_that_does_not_start_is_an_error(onnx_bundle: Path) -> None:
    damage.flip(onnx_bundle / "model.onnx")
    with pytest.raises(DeployError, match="did not start"), serving.server(onnx_bundle):
        pass
