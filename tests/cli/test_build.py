"""`deploypipe build FILE.py:FUNCTION`, and what can be done with what it makes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Cli = Callable[..., Any]


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_model_in_a_file_becomes_a_bundle_that_verifies_and_runs(cli: Cli, home: Path, own_cache: Path) -> None:
    done = cli("build", "my.py:scored", "--runtime", "onnxruntime", code=0)
    bundle = home / "dist" / "scored" / "host" / "onnxruntime-fp32"
    assert "1 of 1 bundles in dist" in done.stdout
    assert "100.00 (100.00)" in done.stdout
    assert "pass scored/host/onnxruntime-fp32" in done.stderr
    assert tree(home / "dist") == [
        f"scored/host/onnxruntime-fp32/{name}" for name in ("golden.safetensors", "manifest.json", "model.onnx")
    ]

    assert "pass" in cli("verify", bundle, code=0).stdout
    found = json.loads(cli("verify", bundle, "--json", code=0).stdout)[str(bundle)]
    assert found["passed"]

    manifest = json.loads(cli("inspect", bundle, "--json", code=0).stdout)
    assert manifest["verdict"]["scores"] == {"accuracy": 100.0}
    assert "input      x float32[batch,4]" in cli("inspect", bundle, code=0).stdout

    np.savez(home / "in.npz", x=np.zeros((3, 4), "float32"))
    assert "y float32[3, 3] -> out.npz" in cli("run", bundle, "--input", "in.npz", "--output", "out.npz", code=0).stdout
    with np.load(home / "out.npz") as answers:
        assert answers.files == ["y"]
        assert answers["y"].shape == (3, 3)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("broken", "The model 'mine' fails on its example inputs: RuntimeError: "),
        ("nothing", "my.py:nothing returns a NoneType.\nReturn a deploypipe.ModelSpec."),
    ],
)
def test_a_function_that_makes_no_model_is_bad_input(cli: Cli, home: Path, function: str, said: str) -> None:
    done = cli("build", f"my.py:{function}", "--runtime", "torchscript", code=2)
    assert f"Error: {said}" in done.stderr
    assert tree(home / "dist") == []


def test_a_model_that_is_wrong_in_the_runtime_fails_with_exit_1(cli: Cli, home: Path, own_cache: Path) -> None:
    done = cli("build", "my.py:wrong", "my.py:worse", "my.py:model", "--runtime", "torchscript", code=1)
    assert "FAIL wrong/host/torchscript-fp32: y: normalized_error" in done.stdout
    assert "limit 0.0001" in done.stdout
    assert "FAIL worse/host/torchscript-fp32: accuracy: drop in points 1, limit 0.5 (test set)" in done.stdout
    assert "1 of 3 bundles" in done.stdout
    assert {path.parts[0] for path in map(Path, tree(home / "dist"))} == {"mine"}


def test_stages_are_reused_and_said_to_be_and_a_damaged_bundle_is_replaced(
    cli: Cli, home: Path, own_cache: Path
) -> None:
    words = ["build", "my.py:model", "--runtime", "torchscript"]
    assert "capture done  lower done  verify done" in cli(*words, code=0).stderr
    damaged = home / "dist" / "mine" / "host" / "torchscript-fp32" / "model.pt"
    damaged.write_bytes(b"damaged")
    assert "capture reused  lower reused  verify reused" in cli(*words, code=0).stderr
    assert damaged.read_bytes() != b"damaged"
    assert "capture done  lower done  verify done" in cli(*words, "--force", code=0).stderr


def test_an_output_folder_that_cannot_be_written_is_bad_input(cli: Cli, home: Path) -> None:
    (home / "taken").write_text("mine")
    for out in ("taken", "taken/below"):
        done = cli("build", "my.py:model", "--runtime", "torchscript", "--out", out, code=2)
        assert f"Error: {out} cannot be written" in done.stderr
    assert (home / "taken").read_text() == "mine"


def test_a_cache_that_cannot_be_written_is_bad_input(cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "taken").touch()
    monkeypatch.setenv("DEPLOYPIPE_CACHE", str(home / "taken"))
    done = cli("build", "my.py:model", "--runtime", "torchscript", code=2)
    assert "taken cannot be written" in done.stderr
    assert "Set DEPLOYPIPE_CACHE" in done.stderr
