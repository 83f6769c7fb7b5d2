"""`compare` as CI runs it: exit 1 only for regressions, JSON, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploypipe.profile.receipt import Protocol, Receipt, Report, Start
from tests.report import synthetic

Cli = Callable[..., Any]


def slower(report: Report, times: float) -> Report:
    """The same report, but each run takes so many times as long."""

    def start(each: Start) -> Start:
        return each.model_copy(update={"samples_ns": tuple(int(times * sample) for sample in each.samples_ns)})

    def receipt(each: Receipt) -> Receipt:
        return each.model_copy(update={"starts": tuple(map(start, each.starts)), "twin": tuple(map(start, each.twin))})

    devices = [
        device.model_copy(update={"receipts": tuple(map(receipt, device.receipts))}) for device in report.devices
    ]
    return report.model_copy(update={"devices": tuple(devices)})


@pytest.fixture(scope="module")
def report() -> Report:
    return synthetic.report()


@pytest.fixture
def old(report: Report, tmp_path: Path) -> Path:
    return written(report, tmp_path / "old")


def written(report: Report, folder: Path) -> Path:
    folder.mkdir()
    return report.write(folder)


def test_two_profiles_of_one_build_exit_with_0(cli: Cli, old: Path) -> None:
    done = cli("compare", old, old, code=0)
    assert "not distinguishable" in done.stdout
    assert "0 of " in done.stdout
    assert "REGRESSION" not in done.stdout


def test_a_slower_kernel_exits_with_1(cli: Cli, report: Report, old: Path, tmp_path: Path) -> None:
    new = written(slower(report, 1.1), tmp_path / "new")
    done = cli("compare", old, new, code=1)
    assert "REGRESSION" in done.stdout
    assert "1.100" in done.stdout
    assert "The device may have been busier" in done.stdout
    cli("compare", old, new, "--margin", "15", code=0)
    cli("compare", new, old, code=0)


def test_folders_of_reports_and_json(cli: Cli, report: Report, old: Path, tmp_path: Path) -> None:
    new = written(slower(report, 1.2), tmp_path / "new")
    found = json.loads(cli("compare", old.parent, new.parent, "--json", code=1).stdout)
    latencies = [row for row in found["rows"] if row["figure"] == "latency" and row["ratio"]]
    assert found["margin"] == 0.05
    assert all(row["ratio"]["low"] <= row["ratio"]["value"] <= row["ratio"]["high"] for row in latencies)
    together = {shift["device"] for shift in found["shifts"] if shift["figure"] == "latency"}
    assert together == {"local"}
    assert {row["status"] for row in latencies if row["device"] not in together} == {"regression"}
    assert {shift["status"] for shift in found["shifts"]} == {"regression"}


def test_what_is_no_report_is_refused(cli: Cli, old: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("{}")
    for path in (broken, tmp_path / "missing.json"):
        said = cli("compare", old, path, code=2).stderr
        assert "Name a report.json of `deploypipe profile`" in said


def test_reports_of_other_options_are_refused(cli: Cli, report: Report, old: Path, tmp_path: Path) -> None:
    other = report.model_copy(update={"protocol": Protocol(threads=7)})
    said = cli("compare", old, written(other, tmp_path / "other"), code=2).stderr
    assert "measured in different ways" in said
    assert "threads 1 and 7" in said
