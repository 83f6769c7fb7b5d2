"""Verification: what a verdict is made of, and bundles that must fail."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file, save_file

import deploypipe
from deploypipe.bundle.process import Worker, WorkerError
from deploypipe.bundle.verify import verify

from .damage import change_golden, edit, mend, ones

Cli = Callable[..., Any]


@pytest.mark.parametrize("bundle", ["onnx_bundle", "script_bundle", "hashing_onnx", "hashing_script"])
def test_a_good_bundle_passes_at_two_sizes(request: pytest.FixtureRequest, bundle: str) -> None:
    finding = verify(request.getfixturevalue(bundle))
    assert finding.verdict.passed
    assert {check.what.partition("batch=")[2] for check in finding.verdict.checks} == {"1", "5"}
    assert finding.paths == ({"deploypipe::cws_dense": "native"} if bundle.startswith("hashing") else {})


def test_the_artifact_of_another_model_fails_with_output_metric_and_limit(
    onnx_bundle: Path, own_cache: Path, plain: Any, cli: Cli, tmp_path: Path
) -> None:
    other = deploypipe.build(plain(seed=5), out=tmp_path / "other", runtimes=["onnxruntime"])[0].path
    shutil.copy(other / "model.onnx", onnx_bundle / "model.onnx")
    mend(onnx_bundle)
    done = cli("verify", onnx_bundle, "--json", code=1)
    verdict = json.loads(done.stdout)[str(onnx_bundle)]
    assert not verdict["passed"]
    for failure in verdict["failures"]:
        assert failure.startswith("y: normalized_error ")
        assert "limit 0.0001" in failure
    assert [check["passed"] for check in verdict["checks"]] == [False, False]


def test_an_artifact_with_other_outputs_fails(hashing_onnx: Path, onnx_bundle: Path) -> None:
    shutil.copy(hashing_onnx / "model.onnx", onnx_bundle / "model.onnx")
    mend(onnx_bundle)
    verdict = verify(onnx_bundle).verdict
    assert not verdict.passed
    assert verdict.failures


def test_an_output_of_another_type_fails_whatever_its_values(onnx_bundle: Path) -> None:
    golden = onnx_bundle / "golden.safetensors"
    tensors = load_file(golden)
    save_file({n: a.astype("float64") if ".outputs." in n else a for n, a in tensors.items()}, golden)
    mend(onnx_bundle)
    verdict = verify(onnx_bundle).verdict
    assert not verdict.passed
    assert "not finite" in verdict.failures[0]
    assert "float32[1, 3], not float64[1, 3]" in verdict.failures[0]


def test_the_limits_are_those_of_the_manifest(onnx_bundle: Path) -> None:
    change_golden(onnx_bundle)
    mend(onnx_bundle)
    assert not verify(onnx_bundle).verdict.passed
    edit(onnx_bundle, lambda table: table["limits"].update(normalized_error=1e3))
    assert verify(onnx_bundle).verdict.passed


@pytest.mark.parametrize(
    ("score", "passed"), [(90.0, True), (89.6, True), (95.0, True), (89.4, False), (float("nan"), False)]
)
def test_a_drop_in_accuracy_beyond_the_limit_fails(onnx_bundle: Path, score: float, passed: bool) -> None:
    verdict = verify(onnx_bundle, lambda _: score, {"accuracy": 90.0}).verdict
    assert verdict.passed is passed
    if not passed:
        assert verdict.failures[0].startswith("accuracy: drop in points ")
        assert verdict.failures[0].endswith("limit 0.5 (test set)")


def test_the_score_is_of_the_artifact_in_its_runtime(onnx_bundle: Path) -> None:
    def evaluate(predict: Callable[..., Any]) -> float:
        return float(predict(ones(2000, 4))[0].sum())

    model = deploypipe.load(onnx_bundle)
    expected = 2000 * float(model(ones(1, 4))[0].sum())
    assert verify(onnx_bundle, evaluate).verdict.scores["accuracy"] == pytest.approx(expected, rel=1e-4)


def test_a_library_that_is_there_must_be_what_runs(hashing_onnx: Path) -> None:
    edit(hashing_onnx, lambda table: table["ops"][0].update(library=None, abi={}))
    shutil.rmtree(hashing_onnx / "lib")
    mend(hashing_onnx)
    finding = verify(hashing_onnx)
    assert finding.verdict.passed
    assert finding.paths == {"deploypipe::cws_dense": "inlined"}


CRASH = """
#include <csignal>
#include <cstdlib>
__attribute__((constructor)) static void crash() { std::raise(SIGSEGV); }
"""


def test_a_kernel_that_crashes_becomes_a_failed_verdict_with_the_signal(hashing_script: Path, cli: Cli) -> None:
    library = next((hashing_script / "lib").iterdir())
    source = hashing_script.parent / "crash.cpp"
    source.write_text(CRASH)
    os.spawnlp(os.P_WAIT, "g++", "g++", "-shared", "-fPIC", "-o", str(library), str(source))
    mend(hashing_script)
    done = cli("verify", hashing_script, code=1)
    assert "was ended by SIGSEGV" in done.stdout
    assert "FAIL" in done.stdout


def test_a_worker_that_is_gone_is_an_error_even_for_large_inputs(onnx_bundle: Path) -> None:
    with Worker(onnx_bundle) as worker:
        worker._process.send_signal(signal.SIGKILL)
        worker._process.wait()
        with pytest.raises(WorkerError, match="was ended by SIGKILL"):
            worker.run([ones(1000, 4)] * 100)


def test_a_worker_answers_again_after_a_refused_input(onnx_bundle: Path) -> None:
    with Worker(onnx_bundle) as worker:
        with pytest.raises(WorkerError, match="'x' is float32"):
            worker.run([ones(1, 5)])
        assert worker.run([ones(2, 4)])[0].shape == (2, 3)


def test_a_worker_has_neither_the_folder_nor_the_environment_of_the_user(
    onnx_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    monkeypatch.setenv("SECRET", "1")
    with Worker(onnx_bundle) as worker:
        worker.run([ones(1, 4)])
        process = Path("/proc") / str(worker._process.pid)
        names = {line.partition("=")[0] for line in (process / "environ").read_text().split("\0")}
        assert names.isdisjoint({"PYTHONPATH", "SECRET"})
        assert (process / "cwd").resolve() != Path.cwd()


def test_a_damaged_bundle_does_not_stop_the_others(cli: Any, onnx_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "damaged").mkdir()
    done = cli("verify", tmp_path / "damaged", onnx_bundle, code=2)
    assert f"pass {onnx_bundle}" in done.stdout
    assert "it has no manifest.json" in done.stderr
    found = json.loads(cli("verify", tmp_path / "damaged", onnx_bundle, "--json", code=2).stdout)
    assert [each["passed"] for each in found.values()] == [False, True]
