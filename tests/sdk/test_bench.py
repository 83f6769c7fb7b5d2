"""dp-bench: its lines, its options, and what it says of wrong ones."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploypipe.bundle import manifest as manifests
from deploypipe.bundle.manifest import GOLDEN
from deploypipe.tensors import save_cases

from .running import WITHOUT, Ran, assert_same_verdict, golden, relist, runtime_library

Bench = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def bench(tree: Path) -> Bench:
    """Runs dp-bench with the ONNX Runtime that is installed here."""
    program = tree / "bin" / "dp-bench"

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        command = [str(program), *map(str, words), "--runtime-library", str(runtime_library("onnxruntime"))]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


def events(done: subprocess.CompletedProcess[str], code: int = 0) -> list[dict[str, Any]]:
    assert done.returncode == code, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def kinds(found: list[dict[str, Any]]) -> list[str]:
    return [each["event"] for each in found]


def test_it_writes_what_it_measured(bench: Bench, built_onnx: Path) -> None:
    opened, first, settled, *samples, done = found = events(bench(built_onnx, "--runs", 5, "--warm-up", 1))
    assert kinds(found) == ["opened", "first", "settled", *["sample"] * 5, "done"]
    manifest = manifests.read(built_onnx)
    assert (opened["model"], opened["runtime"]) == ("plain", "onnxruntime")
    assert opened["runtime_version"] == manifest.runtime.built_with
    assert opened["load_ms"] > 0
    assert first["ns"] > 0
    assert settled == {"event": "settled", "runs": 1, "settled": False}
    assert all(isinstance(each["ns"], int) and each["ns"] > 0 for each in samples)
    assert done["samples"] == 5
    assert done["peak_rss_mb"] >= opened["rss_mb"] > 1


def test_it_stops_after_some_seconds(bench: Bench, built_onnx: Path) -> None:
    assert events(bench(built_onnx, "--seconds", 0))[-1]["samples"] == 1


def test_the_warm_up_goes_on_until_medians_settle_or_its_time_is_over(bench: Bench, built_onnx: Path) -> None:
    settled = events(bench(built_onnx, "--settle", 100))[2]
    assert settled["settled"]
    assert settled["runs"] >= 10
    assert events(bench(built_onnx, "--settle", 0))[2] == {"event": "settled", "runs": 0, "settled": False}
    one_block = events(bench(built_onnx, "--settle", 1e-9))[2]
    assert not one_block["settled"]
    assert one_block["runs"] >= 5


def test_it_rests_between_runs(bench: Bench, built_onnx: Path) -> None:
    found = events(bench(built_onnx, "--gap-ms", 30, "--seconds", 0.1, "--runs", 1000))
    assert found[-1]["samples"] <= 4


def test_the_start_of_the_process_counts_where_it_is_asked_for(bench: Bench, built_onnx: Path) -> None:
    assert "process_ms" not in events(bench(built_onnx))[0]
    opened = events(bench(built_onnx, "--cold-start"))[0]
    assert opened["process_ms"] > opened["load_ms"]


def test_an_axis_takes_another_size(bench: Bench, built_onnx: Path) -> None:
    assert events(bench(built_onnx, "--axis", "batch=7", "--runs", 1))[-1]["samples"] == 1
    done = bench(built_onnx, "--axis", "batch=100000000", "--runs", 1)
    assert done.returncode in {1, 2}
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("words", [(), ("--threads", 2), ("--mark", "--runs", 1)])
def test_the_verdict_is_the_one_of_python(bench: Bench, built_onnx: Path, words: tuple[object, ...]) -> None:
    found = events(bench(built_onnx, "--verify", *words))
    assert kinds(found)[:3] == ["opened", "verdict", "first"]
    assert_same_verdict(Ran(0, "", found[1], b""), built_onnx, WITHOUT)


def test_a_failed_verdict_ends_it(bench: Bench, onnx_bundle: Path) -> None:
    manifest, cases = golden(onnx_bundle)
    wrong = [replace(case, outputs={name: value + 1 for name, value in case.outputs.items()}) for case in cases]
    save_cases(wrong, onnx_bundle / GOLDEN)
    relist(onnx_bundle)
    _, verdict = events(bench(onnx_bundle, "--verify"), code=1)
    assert not verdict["passed"]
    assert verdict["failures"][0].startswith(f"{manifest.outputs[0].name}: normalized_error ")


def test_the_smallest_golden_vector_is_run_unless_another_is_named(bench: Bench, onnx_bundle: Path) -> None:
    _, cases = golden(onnx_bundle)
    cases.sort(key=lambda case: -sum(array.size for array in case.inputs.values()))
    save_cases(cases, onnx_bundle / GOLDEN)
    relist(onnx_bundle)
    assert events(bench(onnx_bundle))[1]["case"] == len(cases) - 1
    assert events(bench(onnx_bundle, "--case", 0))[1]["case"] == 0


def test_op_libraries_may_stay_unused(bench: Bench, built_hashing_onnx: Path) -> None:
    found = events(bench(built_hashing_onnx, "--verify", "--without-op-libraries"))[1]
    assert all(check["what"].startswith(f"{WITHOUT}, ") for check in found["checks"])
    assert found["passed"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "No bundle is named"),
        (["a", "b"], "One bundle at a time, not a and b"),
        (["a", "--fast"], "There is no option --fast"),
        (["a", "--threads", 0], "--threads needs a number from 1 to 1024, not '0'"),
        (["a", "--runs", "many"], "--runs needs a number from 1 to 10000000, not 'many'"),
        (["a", "--runs", 10**30], "--runs needs a number from 1 to"),
        (["a", "--axis", "batch"], "--axis needs NAME=SIZE, not 'batch'"),
        (["a", "--axis", "batch=0"], "--axis needs a number from 1 to 10000000, not '0'"),
        (["a", "--settle", -1], "--settle needs a number from 0"),
        (["a", "--seconds", "nan"], "--seconds needs a number from 0"),
    ],
)
def test_wrong_options(bench: Bench, words: list[object], said: str) -> None:
    done = bench(*words)
    assert done.returncode == 2
    assert done.stderr.startswith(f"dp-bench: {said}")
    assert done.stderr.endswith(". `dp-bench --help` lists the options.\n")
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)


def test_a_golden_vector_that_is_not_there(bench: Bench, built_onnx: Path) -> None:
    done = bench(built_onnx, "--case", 99)
    assert done.returncode == 2
    assert "--case needs a number from 0 to " in done.stderr


def test_an_axis_that_is_not_there(bench: Bench, built_onnx: Path) -> None:
    done = bench(built_onnx, "--axis", "length=4")
    assert done.returncode == 2
    assert "No input has a dynamic axis 'length'" in done.stderr


def test_lines_that_cannot_be_written(tree: Path, built_onnx: Path) -> None:
    command = [tree / "bin" / "dp-bench", built_onnx, "--runtime-library", runtime_library("onnxruntime")]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "dp-bench: What was measured cannot be written. Give it a place with room.\n"


def test_what_is_no_bundle(bench: Bench, tmp_path: Path) -> None:
    done = bench(tmp_path / "none")
    assert done.returncode == 1
    assert "none" in done.stderr
    assert done.stdout == ""
