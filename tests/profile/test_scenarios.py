"""Scenarios by the real LoadGen: over models that are simulated, and over a bundle."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import deploypipe
from deploypipe import ModelSpec
from deploypipe.errors import DeployError
from deploypipe.profile import loadgen, scenarios
from deploypipe.profile.loadgen import Asked, Name, System

Array = np.ndarray[Any, Any]

MICROSECOND, SECOND = 1_000.0, 1e9


class Simulated:
    """Takes no time, and notes what it was given."""

    def __init__(self) -> None:
        self.batches: list[Array] = []

    def __call__(self, inputs: Sequence[Array]) -> None:
        self.batches.append(inputs[0][:, 0])


def system(run: Any, largest: int) -> System:
    return System([[np.full((1, 3), number)] for number in range(5)], run, largest)


def asked(scenario: Name, bound_ns: float = SECOND) -> Asked:
    return Asked(scenario, seconds=0.05, median_ns=MICROSECOND, per_second=2000, bound_ns=bound_ns)


def test_alone_each_sample_waits_for_the_one_before() -> None:
    model = Simulated()
    found = loadgen.ask(system(model, largest=8), asked("SingleStream"))
    assert {len(batch) for batch in model.batches} == {1}
    assert found.valid
    assert found.unit == "ms"
    assert len(found.latencies_ns) == len(model.batches) >= 64


def test_offline_all_samples_are_there_at_once_and_are_answered_in_batches() -> None:
    model = Simulated()
    found = loadgen.ask(system(model, largest=8), asked("Offline"))
    sizes = [len(batch) for batch in model.batches]
    assert set(sizes[:-1]) == {8}
    assert sum(sizes) == len(found.latencies_ns) >= 2000 * 0.05
    assert set(np.concatenate(model.batches)) == set(range(5))
    assert found.unit == "samples/s"
    assert found.result > 0


def test_a_server_answers_in_a_thread_that_ends() -> None:
    before = threading.active_count()
    found = loadgen.ask(system(Simulated(), largest=8), asked("Server"))
    assert threading.active_count() == before
    assert found.unit == "queries/s"
    assert len(found.latencies_ns) >= 64
    assert found.late == 0
    assert found.seconds >= 0.05


def test_a_server_that_breaks_the_bound_is_not_valid() -> None:
    found = loadgen.ask(system(Simulated(), largest=1), asked("Server", bound_ns=1))
    assert not found.valid
    assert found.late == 1


def test_so_many_queries_are_asked_at_least() -> None:
    found = loadgen.ask(system(Simulated(), largest=8), replace(asked("Server"), queries=300))
    assert len(found.latencies_ns) >= 300


@pytest.mark.parametrize("scenario", scenarios.NAMES)
def test_a_model_that_fails_ends_the_scenario(scenario: Name) -> None:
    def fail(_: Sequence[Array]) -> None:
        raise RuntimeError("out of memory")

    with pytest.raises(DeployError, match=f"The model failed in {scenario}: out of memory"):
        loadgen.ask(system(fail, largest=8), asked(scenario))


@pytest.mark.parametrize("scenario", scenarios.NAMES)
def test_a_bundle(scenario: Name, built_onnx: Path) -> None:
    found = scenarios.run(built_onnx, scenario, 0.1)
    assert found.name == scenario
    assert found.queries >= 64
    assert found.result > 0
    assert found.seconds > 0
    assert bool(found.latencies_ns) == (scenario != "Offline")
    assert len(found.latencies_ns) <= 5000


def test_the_server_scenario_says_what_was_sent_and_what_bound_it(built_onnx: Path) -> None:
    note = scenarios.run(built_onnx, "Server", 0.1).note
    assert "99 % must take at most 10 ms, the least where the target has no budget" in note
    assert "First 50 % of what Offline answers was tried, then 70 % of that" in note
    assert "in batches of up to 64" in note


def test_where_the_batch_is_closed_samples_are_answered_one_by_one(own_cache: Path, plain: Any, tmp_path: Path) -> None:
    spec: ModelSpec = plain(dynamic_axes={})
    bundle = deploypipe.build(spec, out=tmp_path / "dist", runtimes=["torchscript"])[0].path
    assert scenarios.run(bundle, "Offline", 0.05).note == "Samples are answered one by one."


def test_an_unknown_scenario_is_named(built_onnx: Path) -> None:
    with pytest.raises(DeployError, match=r"no scenario 'Ofline'\. Did you mean 'Offline'"):
        scenarios.run(built_onnx, "Ofline", 1)


def test_without_loadgen_the_cure_is_named(built_onnx: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loadgen, "find_spec", lambda _: None)
    with pytest.raises(DeployError, match=r"pip install deploypipe\[profile\]"):
        scenarios.run(built_onnx, "Offline", 1)
