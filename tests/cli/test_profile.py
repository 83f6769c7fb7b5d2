"""`deploypipe profile` on this machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploypipe.profile import receipt

Cli = Callable[..., Any]

QUICK = ("--rounds", 2, "--runs", 20, "--seconds", 0.05, "--scenario-seconds", 0)


def test_a_folder_of_bundles_becomes_a_report(cli: Cli, onnx_bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    done = cli("profile", onnx_bundle.parent, "--out", out, *QUICK, code=0)
    assert "report.html" in done.stdout
    (device,) = receipt.read(out).devices
    (found,) = device.receipts
    assert (device.name, found.bundle.model, found.status) == ("local", "plain", "measured")
    assert len(found.starts) == len(found.twin) == 2
    assert {point.kind for point in found.points} == {"threads", "batch", "gap_ms"}
    assert found.operators
    assert json.loads((out / found.operators.trace).read_text())["traceEvents"]
    assert not found.notes


def test_it_measures_in_the_same_way_twice_so_that_the_two_can_be_compared(
    cli: Cli, onnx_bundle: Path, tmp_path: Path
) -> None:
    for name in ("old", "new"):
        cli("profile", onnx_bundle, "--out", tmp_path / name, *QUICK, code=0)
    done = cli("compare", tmp_path / "old", tmp_path / "new")
    assert "too few starts" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "There is no bundle in nowhere"),
        ([".", "--device", "lokal"], "There is no device 'lokal'. Did you mean 'local'?"),
        ([".", "--config", "none.toml"], "none.toml cannot be read"),
    ],
)
def test_what_cannot_be_measured(cli: Cli, onnx_bundle: Path, words: list[Any], said: str) -> None:
    done = cli("profile", *words, cwd=onnx_bundle, code=2)
    assert said in done.stderr.replace("\n", " ")
    assert not (onnx_bundle / "report").exists()


def test_a_damaged_bundle_is_refused_before_anything_is_measured(cli: Cli, onnx_bundle: Path, tmp_path: Path) -> None:
    (onnx_bundle / "model.onnx").write_bytes(b"something else")
    done = cli("profile", onnx_bundle, "--out", tmp_path / "report", *QUICK, code=2)
    assert "model.onnx" in done.stderr
    assert not (tmp_path / "report" / "report.json").exists()
