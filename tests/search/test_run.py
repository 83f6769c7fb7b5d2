"""A whole search on a small model."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import pytest

import deploypipe
from deploypipe import target as targets
from deploypipe.cli.source import load_function
from deploypipe.errors import VerdictError
from deploypipe.search import Goals, Settings, compress
from deploypipe.search.candidate import Measured
from deploypipe.search.settings import Found
from deploypipe.search.trial import Make
from deploypipe.target import Target

pytestmark = pytest.mark.slow


MODEL = """
import functools
import numpy as np
import torch
from deploypipe import ModelSpec

def score(data, expected, predict):
    return 100 * float(np.mean(predict(data)[0].argmax(1) == expected))

def labelled():
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(32, 256), torch.nn.ReLU(), torch.nn.Linear(256, 8))
    data = torch.randn(256, 32)
    with torch.no_grad():
        expected = module(data).argmax(1).numpy()
    evaluate = functools.partial(score, data.numpy(), expected)
    return ModelSpec("labelled", module, (data[:2],), calibration=[(data,)], evaluate=evaluate)
"""


@pytest.fixture
def labelled(tmp_path: Path, own_cache: Path) -> Make:
    """A classifier of 40 kB that is right about its own answers; it can be made in any process.

    The cache is empty, since a search that was done before would not be done again.
    """
    path = tmp_path / "labelled.py"
    path.write_text(MODEL)
    return functools.partial(load_function, f"{path}:labelled")


@pytest.fixture
def phone() -> Target:
    """A target without a device here, so that nothing depends on times."""
    return targets.parse({"name": "phone", "artifact": [{"runtime": "onnxruntime"}]}, "phone")


def settings(out: Path, seen: list[Found], **fields: object) -> Settings:
    return Settings(out, trials=6, workers=2, observe=seen.append, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("executor", ["processes", "ray"])
def test_it_ends_with_a_front_and_a_bundle_that_runs(
    labelled: Make, phone: Target, tmp_path: Path, executor: str
) -> None:
    seen: list[Found] = []
    report = compress(labelled, phone, Goals(accuracy_drop=1.0), settings(tmp_path / "dist", seen, executor=executor))

    (artifact,) = report.artifacts
    assert artifact.chosen is not None
    assert artifact.chosen == artifact.front[0]
    assert artifact.chosen.size < 0.6 * artifact.base.size
    assert sum(isinstance(each, Measured) for each in seen) == 6
    written = json.loads((tmp_path / "dist" / "labelled" / "phone" / "compression.json").read_text())
    assert written["artifacts"][0]["chosen"]["candidate"]["precision"].startswith("int")
    (output,) = deploypipe.load(artifact.folder)(np.zeros((3, 32), np.float32))
    assert output.shape == (3, 8)


def test_nothing_is_delivered_where_nothing_keeps_the_budgets(labelled: Make, phone: Target, tmp_path: Path) -> None:
    with pytest.raises(VerdictError, match=r"No setting for onnxruntime keeps the budgets .*at most 0.001 MB"):
        compress(labelled, phone, Goals(size_mb=0.001), settings(tmp_path / "dist", []))
    assert not list((tmp_path / "dist").rglob("manifest.json"))


def test_a_search_that_was_done_is_not_done_again(labelled: Make, phone: Target, tmp_path: Path) -> None:
    first, again = list[Found](), list[Found]()
    one = compress(labelled, phone, Goals(), settings(tmp_path / "dist", first))
    other = compress(labelled, phone, Goals(), settings(tmp_path / "dist", again))
    assert one == other
    assert not [each for each in again if isinstance(each, Measured)]
