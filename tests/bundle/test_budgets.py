"""Budgets: what a bundle may cost."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import deploypipe
from deploypipe import target
from deploypipe.bundle import budgets
from deploypipe.bundle import manifest as manifests
from deploypipe.bundle.clock import Span
from deploypipe.bundle.manifest import Check, Manifest
from deploypipe.bundle.verify import verify
from deploypipe.errors import VerdictError
from deploypipe.target import Budgets

from .damage import edit

Build = Callable[[dict[str, float]], Any]


@pytest.fixture
def built(own_cache: Path, plain: Any, tmp_path: Path) -> Build:
    """Builds a small model for a target with budgets."""

    def build(budgets: dict[str, float]) -> Any:
        table = {"name": "edge", "device": "local", "artifact": [{"runtime": "onnxruntime"}], "budgets": budgets}
        return deploypipe.build(plain(), target.parse(table, "edge.toml"), tmp_path / "dist")[0]

    return build


def within(bundle: Path, **limits: float) -> Manifest:
    return manifests.read(bundle).model_copy(update={"budgets": Budgets(**limits)})


def test_a_generous_budget_is_kept_and_stands_in_the_manifest(built: Build) -> None:
    manifest = built({"size_mb": 50, "p90_ms": 60_000}).manifest
    assert manifest.budgets == Budgets(size_mb=50, p90_ms=60_000)
    costs = {check.output: check for check in manifest.verdict.checks if check.output in ("artifact", "latency")}
    assert costs["artifact"].value == manifest.sizes["model.onnx"] / 1e6
    assert costs["latency"].value > 0
    assert manifest.verdict.parity().output == "y"


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"size_mb": 0.0001}, r"artifact: size in MB 0\.00\d+, limit 0\.0001 \(file alone\)"),
        ({"p90_ms": 1e-9}, r"latency: .* in ms [\d.e+]+, limit 1e-09 \(this machine, batch=1, \d+ runs after \d+ to"),
    ],
    ids=["size", "time"],
)
def test_a_bundle_over_budget_fails_the_build_with_the_figure(
    built: Build, limits: dict[str, float], said: str
) -> None:
    with pytest.raises(VerdictError, match=rf"plain/edge/onnxruntime-fp32: {said}"):
        built(limits)


def test_op_libraries_are_not_part_of_the_size(hashing_onnx: Path) -> None:
    manifest = within(hashing_onnx, size_mb=1)
    assert len(manifest.sizes) == 3
    (check,) = budgets.of_size(manifest)
    assert check.value == (hashing_onnx / "model.onnx").stat().st_size / 1e6


def test_nothing_is_measured_without_a_budget(onnx_bundle: Path) -> None:
    def never(_: Span) -> Sequence[float]:
        raise AssertionError

    manifest = manifests.read(onnx_bundle)
    assert budgets.of_size(manifest) + budgets.of_time(manifest, never, "batch=1") == []


def judge(bundle: Path, samples: Sequence[float]) -> Check:
    """Judges samples that are given, by a budget of 10 ms."""
    (check,) = budgets.of_time(within(bundle, p90_ms=10), lambda _: samples, "batch=1")
    return check


@pytest.mark.parametrize(("slow", "passed"), [(9, True), (11, False)])
def test_a_tenth_of_the_runs_may_be_slower(onnx_bundle: Path, slow: int, passed: bool) -> None:
    check = judge(onnx_bundle, [1.0] * (100 - slow) + [99.0] * slow)
    assert (check.metric, check.passed) == ("p90 in ms", passed)
    assert check.what == "this machine, batch=1, 100 runs after 100 to warm up"


@pytest.mark.parametrize(("slowest", "passed"), [(9.0, True), (11.0, False)])
def test_of_too_few_runs_for_a_percentile_the_slowest_counts(onnx_bundle: Path, slowest: float, passed: bool) -> None:
    check = judge(onnx_bundle, [1.0] * 20 + [slowest])
    assert (check.metric, check.value, check.passed) == ("slowest run in ms", slowest, passed)


def test_verify_judges_by_the_budgets_of_the_manifest(onnx_bundle: Path) -> None:
    edit(onnx_bundle, lambda table: table.update(budgets={"size_mb": 1e-6, "p90_ms": None}))
    verdict = verify(onnx_bundle).verdict
    assert not verdict.passed
    assert verdict.failures[0].startswith("artifact: size in MB")


def test_a_manifest_that_says_nothing_of_budgets_has_none(onnx_bundle: Path) -> None:
    edit(onnx_bundle, lambda table: table.pop("budgets"))
    assert manifests.read(onnx_bundle).budgets == Budgets()
    assert "budgets" not in json.loads((onnx_bundle / "manifest.json").read_text())
