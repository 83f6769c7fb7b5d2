"""`deploypipe inspect`: what a manifest says, for people."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from .damage import edit

Cli = Callable[..., Any]

LAYERS = [
    {"name": "net.0", "kind": "Linear", "weights": 64, "precision": "int8", "reason": ""},
    {"name": "net.2", "kind": "Linear", "weights": 64, "precision": "int8", "reason": ""},
    {"name": "head", "kind": "Linear", "weights": 9, "precision": "fp32", "reason": "it was asked to stay float"},
]


def test_layers_are_counted_and_float_ones_say_why(cli: Cli, onnx_bundle: Path) -> None:
    edit(onnx_bundle, lambda table: (table.update(layers=LAYERS), table["request"].update(precision="int8-dynamic")))
    said = cli("inspect", onnx_bundle, code=0).stdout
    assert "layers       2 int8, 1 fp32" in said
    assert "float layer  head (Linear): it was asked to stay float" in said


def test_a_bundle_of_fp32_has_no_line_of_layers(cli: Cli, onnx_bundle: Path) -> None:
    edit(onnx_bundle, lambda table: table.update(layers=LAYERS))
    assert "layer" not in cli("inspect", onnx_bundle, code=0).stdout


def test_budgets_are_shown(cli: Cli, onnx_bundle: Path) -> None:
    edit(onnx_bundle, lambda table: table.update(budgets={"size_mb": 1.5, "p90_ms": 20}))
    said = cli("inspect", onnx_bundle, code=0).stdout
    assert "artifact of 1.5 MB at most" in said
    assert "p90 of 20 ms at most" in said


def test_processing_is_shown(cli: Cli, onnx_bundle: Path) -> None:
    labels = {"outputs": {"y": {"labels": ["a", "b", "c"]}}}
    edit(onnx_bundle, lambda table: table.update(processing=labels))
    assert "processing  y: 3 classes" in cli("inspect", onnx_bundle, code=0).stdout
