"""What a process that ran a bundle says, and what is made of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deploypipe.devices.protocol import Finished
from deploypipe.errors import DeployError, VerdictError
from deploypipe.profile import bench
from deploypipe.profile.bench import Bench

EVENTS: list[dict[str, Any]] = [
    {"event": "opened", "load_ms": 40.5, "process_ms": 44.0, "runtime_version": "1.32.0"},
    {"event": "first", "case": 0, "ns": 900},
    {"event": "settled", "runs": 20, "settled": True},
    {"event": "sample", "ns": 110},
    {"event": "sample", "ns": 100},
    {"event": "done", "samples": 2, "peak_rss_mb": 33.5},
]
PASSED = {"event": "verdict", "passed": True, "checks": [], "failures": []}
FAILED = {"event": "verdict", "passed": False, "checks": [], "failures": ["y: normalized error 1, limit 0.0001 (x)"]}


def said(events: list[dict[str, Any]], code: int = 0, err: str = "") -> Finished:
    return Finished(code, "".join(f"{json.dumps(event)}\n" for event in events), err)


def test_a_start_is_read_from_its_lines() -> None:
    start = bench.parse(said(EVENTS), "lltm").start
    assert (start.process_ms, start.load_ms, start.first_ns) == (44.0, 40.5, 900)
    assert start.runtime_version == "1.32.0"
    assert (start.warm_up, start.settled, start.samples_ns, start.peak_mb) == (20, True, (110, 100), 33.5)


def test_what_a_runtime_prints_between_them_is_passed_over() -> None:
    finished = said(EVENTS)
    noisy = Finished(0, f"INFO: Created TensorFlow Lite XNNPACK delegate\n{finished.out}", "")
    assert bench.parse(noisy, "lltm") == bench.parse(finished, "lltm")


def test_a_verdict_comes_along() -> None:
    verdict = bench.parse(said([*EVENTS, PASSED]), "lltm").verdict
    assert verdict
    assert verdict.passed


def test_a_verdict_that_failed_is_an_error() -> None:
    with pytest.raises(VerdictError, match="y: normalized error 1"):
        bench.parse(said([EVENTS[0], FAILED], code=1), "lltm")


def test_what_the_bench_refuses_is_told_in_its_words() -> None:
    with pytest.raises(DeployError, match=r"^libonnxruntime.so is not found"):
        bench.parse(said([], 1, "noise\ndp-bench: libonnxruntime.so is not found.\n"), "lltm")


def test_a_crash_is_told_by_its_signal() -> None:
    with pytest.raises(DeployError, match="lltm was ended by SIGSEGV"):
        bench.parse(said(EVENTS[:2], 128 + 11), "lltm")


def test_an_end_without_all_lines_is_an_error() -> None:
    with pytest.raises(DeployError, match="ended without a word about 'done'"):
        bench.parse(said(EVENTS[:-1]), "lltm")


def test_the_options_are_those_of_dp_bench() -> None:
    words = Bench(5, 0.5, axes=(("batch", 4),), gap_ms=33, verify=True).words()
    assert " ".join(words) == (
        "--runs 5 --seconds 0.5 --settle 1 --threads 1 --cold-start --axis batch=4 --gap-ms 33 --verify"
    )
