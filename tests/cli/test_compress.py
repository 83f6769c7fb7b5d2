"""`deploypipe compress`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]

TARGET = """
name = "phone"
[[artifact]]
runtime = "onnxruntime"
"""

MODEL = """
import torch
from deploypipe import ModelSpec

torch.manual_seed(0)
module = torch.nn.Sequential(torch.nn.Linear(32, 256), torch.nn.ReLU(), torch.nn.Linear(256, 8))
data = torch.randn(256, 32)
with torch.no_grad():
    expected = module(data).argmax(1).numpy()


def score(predict):
    return 100 * float((predict(data.numpy())[0].argmax(1) == expected).mean())


def model():
    return ModelSpec("net", module, (data[:2],), calibration=[(data,)], evaluate=score)
"""


@pytest.fixture
def work(tmp_path: Path, own_cache: Path) -> Path:
    folder = tmp_path / "work"
    (folder / "phone.toml").write_text(TARGET)
    (folder / "net.py").write_text(MODEL)
    return folder


@pytest.mark.slow
def test_it_prints_a_front_and_delivers_what_it_chose(cli: Cli, work: Path) -> None:
    words = ("net.py:model", "--target", "phone.toml", "--accuracy-drop", "1.5", "--trials", "4")
    said = cli("compress", *words, code=0).stdout
    assert "phone: at most 1.5 points lost" in said
    assert "most sensitive first" in said
    assert "Pareto front" in said
    assert "chosen  int" in said

    report = json.loads((work / "dist" / "net" / "phone" / "compression.json").read_text())
    (artifact,) = report["artifacts"]
    assert len(artifact["trials"]) == 4
    assert artifact["chosen"]["size"] < artifact["base"]["size"]
    assert cli("verify", artifact["folder"], code=0).stdout.startswith("pass")

    again = cli("compress", *words, code=0).stdout
    assert "points lost" in again
    assert "[" not in again.partition("Pareto front")[2]  # no markup is left in the tables


@pytest.mark.slow
def test_a_budget_that_nothing_keeps_is_exit_1(cli: Cli, work: Path) -> None:
    done = cli("compress", "net.py:model", "--target", "phone.toml", "--size-mb", "0.001", "--trials", "2", code=1)
    assert "Nothing keeps the budgets for onnxruntime" in done.stdout
    assert "No setting for onnxruntime keeps the budgets" in done.stderr
    assert not list((work / "dist").rglob("manifest.json"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nets",), "There is no model 'nets'"),
        (("net.py:model", "--target", "phone.toml", "--p90-ms", "5"), "has a budget of 5 ms and no device"),
        (("net.py:model", "--target", "phone.toml", "--executor", "slurm"), "There is no executor 'slurm'"),
        (("net.py:model", "--target", "phones"), "There is no target 'phones'"),
    ],
)
def test_what_is_asked_wrongly_is_said_before_anything_is_searched(
    cli: Cli, work: Path, words: tuple[str, ...], said: str
) -> None:
    assert said in cli("compress", *words, code=2).stderr
    assert not (work / "dist").exists()
