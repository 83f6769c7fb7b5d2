from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks import cli
from deploypipe import zoo


@pytest.mark.parametrize(("accuracy", "code"), [(97.0, 0), (96.9, 1)])
def test_exit_code_and_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accuracy: float, code: int) -> None:
    def pretend(_: str, epochs: int | None, seed: int, out: Path) -> zoo.TrainResult:
        return zoo.TrainResult(accuracy, epochs or 9, 1.5, out)

    monkeypatch.setattr(zoo, "train", pretend)
    result = CliRunner().invoke(cli.app, ["accuracy", "--seeds", "2", "--json", str(tmp_path / "x.json")])
    assert result.exit_code == code
    rows = json.loads((tmp_path / "x.json").read_text())
    assert [(row["model"], row["epochs"]) for row in rows] == [
        ("mlp", 9),
        ("lltm", 9),
        ("gcwsnet", 9),
        ("gcwsnet", 1),
    ]
    assert [row["accuracies"] for row in rows] == [[accuracy] * 2] * 4
    assert "mlp" in result.stdout
