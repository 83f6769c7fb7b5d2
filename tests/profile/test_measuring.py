"""Bundles on one device: rounds in which each is started once, and what becomes of them when something goes wrong.

The device is played: it answers as dp-bench does, with times that the test names.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from deploypipe.bundle import manifest as manifests
from deploypipe.devices.config import DeviceConfig
from deploypipe.devices.device import Device
from deploypipe.devices.facts import DeviceFacts
from deploypipe.devices.protocol import Finished, LostDeviceError
from deploypipe.errors import DeployError
from deploypipe.profile import lanes, measuring
from deploypipe.profile.facts import Subject
from deploypipe.profile.gathered import Gathered
from deploypipe.profile.journal import Journal
from deploypipe.profile.lanes import Lane
from deploypipe.profile.measuring import Plan
from deploypipe.profile.receipt import BundleFacts, Protocol

PROTOCOL = Protocol(rounds=3, runs=2, seconds=1)
FAST, SLOW, OTHER = "lltm/laptop/fast", "lltm/laptop/slow", "mlp/laptop/only"
Answer = Callable[[str, int], Finished | None]


@dataclass
class Played:
    """A transport to nowhere.

    Attributes:
        answer: Is given the bundle and the number of the command, and may answer something else.
        commands: That were run.
    """

    answer: Answer = lambda _bundle, _number: None
    commands: list[Sequence[str]] = field(default_factory=list)

    def push(self, _files: dict[str, Path]) -> int:
        return 0

    def run(self, command: Sequence[str], _timeout: float) -> Finished:
        self.commands.append(command)
        return self.answer(command[0], len(self.commands)) or passed("--verify" in command)

    def ask(self, _script: str) -> str:
        raise AssertionError("nothing is asked")

    def pull(self, _name: str, _to: Path) -> None:
        raise AssertionError("nothing is pulled")

    def close(self) -> None:
        pass


def passed(verified: bool) -> Finished:
    lines: list[dict[str, Any]] = [
        {"event": "opened", "load_ms": 1.0},
        {"event": "first", "ns": 30},
        {"event": "settled", "runs": 5, "settled": True},
        {"event": "sample", "ns": 10},
        {"event": "sample", "ns": 20},
        {"event": "done", "peak_rss_mb": 5.0},
    ]
    verdict = [{"event": "verdict", "passed": True, "checks": [], "failures": []}] * verified
    return Finished(0, "".join(f"{json.dumps(line)}\n" for line in [*lines, *verdict]), "")


@pytest.fixture
def subjects(built_onnx: Path) -> list[Subject]:
    """Two bundles of a model, and one of another."""
    manifest = manifests.read(built_onnx)
    facts = {
        "target": "laptop",
        "runtime": "onnxruntime",
        "runtime_version": "1",
        "precision": "fp32",
        "form": "",
        "bundle_bytes": 1,
        "artifact_bytes": 1,
    }
    names = (FAST, SLOW, OTHER)
    known = [BundleFacts(name=name, model=name.split("/")[0], **facts) for name in names]
    return [Subject(built_onnx, manifest, each) for each in known]


@pytest.fixture(autouse=True)
def at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bundles are on the device, and a command names nothing but the bundle."""

    def lane(device: Device, _platform: str, subject: Subject, _folder: Path) -> Lane:
        if subject.facts.name == "declined":
            raise DeployError("It is for browsers", "Open its page.")
        return Lane(device, subject, (subject.facts.name,))

    monkeypatch.setattr(lanes, "lane", lane)


def plan(played: Played, journal: Journal | None = None, protocol: Protocol = PROTOCOL) -> Plan:
    device = Device(DeviceConfig(name="played"), played)
    facts = DeviceFacts(platform="linux-x86_64", cores=2)
    return Plan(device, facts, protocol, journal or Journal(), Path(), lambda _: None)


def by_name(found: Sequence[Gathered]) -> dict[str, Gathered]:
    return {each.name: each for each in found}


def test_every_bundle_is_started_once_in_each_round(subjects: list[Subject]) -> None:
    found = measuring.measure(plan(Played()), subjects)
    for each in found:
        assert [start.round for start in each.starts] == [0, 1, 2]
        assert each.verdict
        assert each.receipt().status == "measured"


def test_the_order_differs_from_round_to_round(subjects: list[Subject]) -> None:
    played = Played()
    measuring.measure(plan(played, protocol=Protocol(rounds=8, runs=2)), subjects)
    lanes_of_a_round = len(subjects) + 2  # two models have a twin each
    ordered = [command[0] for command in played.commands[len(subjects) :]]
    rounds = [tuple(ordered[lanes_of_a_round * n : lanes_of_a_round * (n + 1)]) for n in range(8)]
    assert all(sorted(each) == sorted(rounds[0]) for each in rounds)
    assert len(set(rounds)) > 4


def test_one_bundle_of_each_model_has_a_twin(subjects: list[Subject]) -> None:
    found = by_name(measuring.measure(plan(Played()), subjects))
    assert [len(found[name].twin) for name in (FAST, SLOW, OTHER)] == [3, 0, 3]


def test_threads_batches_and_rests_are_measured_too(subjects: list[Subject]) -> None:
    (found, *_) = measuring.measure(plan(Played()), subjects)
    kinds = [(point.kind, point.value) for point in found.points]
    assert kinds[:2] == [("threads", 1), ("threads", 2)]
    assert ("gap_ms", 33) in kinds
    assert not found.notes


def test_a_bundle_that_crashes_is_left_out_and_the_others_go_on(subjects: list[Subject]) -> None:
    def answer(bundle: str, number: int) -> Finished | None:
        return Finished(128 + 4, "", "") if bundle == SLOW and number > len(subjects) else None

    played = Played(answer)
    found = by_name(measuring.measure(plan(played), subjects))
    receipt = found[SLOW].receipt()
    assert (receipt.status, receipt.starts) == ("failed", ())
    assert "was ended by SIGILL" in receipt.reason
    assert found[FAST].receipt().status == found[OTHER].receipt().status == "measured"
    assert sum(command[0] == SLOW for command in played.commands) == 2  # verified, and tried once


def test_what_the_device_cannot_run_is_declined_with_the_reason(subjects: list[Subject]) -> None:
    facts = subjects[0].facts.model_copy(update={"name": "declined"})
    found = measuring.measure(plan(Played()), [Subject(subjects[0].path, subjects[0].manifest, facts), subjects[2]])
    receipt = found[0].receipt()
    assert (receipt.status, receipt.reason) == ("declined", "It is for browsers. Open its page.")
    assert found[1].receipt().status == "measured"


def test_a_device_that_vanishes_leaves_what_came_before(subjects: list[Subject]) -> None:
    whole = len(subjects) + len(subjects) + 2  # verdicts, and the first round with two twins

    def answer(_bundle: str, number: int) -> Finished | None:
        if number > whole + 2:
            raise LostDeviceError("The device went away", "Plug it in.")
        return None

    found = measuring.measure(plan(Played(answer)), subjects)
    for each in found:
        receipt = each.receipt()
        assert (receipt.status, receipt.reason) == ("lost", "The device went away. Plug it in.")
        assert [start.round for start in receipt.starts] == [0]


def test_it_goes_on_with_the_round_that_was_interrupted(subjects: list[Subject]) -> None:
    journal = Journal()

    def answer(_bundle: str, number: int) -> Finished | None:
        if number == len(subjects) + 7:
            raise KeyboardInterrupt
        return None

    with pytest.raises(KeyboardInterrupt):
        measuring.measure(plan(Played(answer), journal), subjects)
    again = Played()
    found = measuring.measure(plan(again, journal), subjects)
    assert [start.round for start in found[0].starts] == [0, 1, 2]
    rounds = [command for command in again.commands if "--gap-ms" not in command and "--axis" not in command]
    assert not any("--verify" in command for command in rounds)
    assert sum("--threads" in command and command[0] == SLOW for command in rounds) == 2 + 2  # rounds, threads


def test_a_setting_that_does_not_work_is_noted(subjects: list[Subject]) -> None:
    played = Played()

    def answer(_bundle: str, _number: int) -> Finished | None:
        return Finished(1, "", "dp-bench: no such axis.\n") if "--axis" in played.commands[-1] else None

    played.answer = answer
    (found, *_) = measuring.measure(plan(played), subjects)
    assert found.receipt().status == "measured"
    assert any(note == "batch 1: no such axis" for note in found.notes)


def test_a_sustained_run_is_planned_from_the_samples(subjects: list[Subject]) -> None:
    played = Played()
    found = measuring.measure(plan(played, protocol=Protocol(rounds=2, sustained_s=60)), subjects)
    assert found[0].sustained
    command = played.commands[-1]
    assert command[command.index("--seconds") + 1] == "60"
    assert int(command[command.index("--runs") + 1]) == 5_000_000
