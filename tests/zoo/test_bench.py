from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner

from deploypipe import zoo

SCRIPT = Path(__file__).parents[2] / "scripts" / "bench"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("bench_script", str(SCRIPT))
    spec = importlib.util.spec_from_loader("bench_script", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "bench_script", module)
    loader.exec_module(module)
    return module


@pytest.mark.parametrize(("accuracy", "code"), [(97.0, 0), (96.9, 1)])
def test_exit_code_and_numbers(
    bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accuracy: float, code: int
) -> None:
    def pretend(_: str, epochs: int | None, seed: int, out: Path) -> zoo.TrainResult:
        return zoo.TrainResult(accuracy, epochs or 9, 1.5, out)

    monkeypatch.setattr(zoo, "train", pretend)
    result = CliRunner().invoke(bench.app, ["accuracy", "--seeds", "2", "--json", str(tmp_path / "x.json")])
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
