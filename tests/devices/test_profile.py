"""A profile of a phone, from the command line to the report; the phone is the fake one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploypipe.profile import receipt
from deploypipe.profile.receipt import DeviceReceipts

from .conftest import Fake, processes_in

Cli = Callable[..., Any]

ROUNDS = 3
# Scripts after the last measurement: what the device is then, and the end.
_AFTER = 2
QUICK = ("--rounds", ROUNDS, "--runs", 5, "--seconds", 0.05)

pytestmark = pytest.mark.slow


@pytest.fixture
def toml(fake: Fake, tmp_path: Path) -> Path:
    """The phone."""
    file = tmp_path / "devices.toml"
    file.write_text(
        f'[[device]]\nname = "phone"\ntransport = "adb"\nserial = "0123"\nfolder = "{fake.storage}"\n'
        'platform = "linux-x86_64"\n'
    )
    return file


def profiled(out: Path) -> DeviceReceipts:
    """Returns what the report says of the phone."""
    (device,) = receipt.read(out).devices
    return device


def test_a_bundle_is_measured_on_a_phone_and_leaves_nothing_there(
    cli: Cli, fake: Fake, toml: Path, built_onnx: Path, tmp_path: Path
) -> None:
    out = tmp_path / "report"
    cli("profile", built_onnx, "--config", toml, "--device", "phone", "--out", out, *QUICK, code=0)
    (found,) = profiled(out).receipts
    assert found.status == "measured"
    assert found.verdict
    assert found.verdict.passed
    assert [len(start.samples_ns) for start in (*found.starts, *found.twin)] == [5] * 2 * ROUNDS
    assert not found.operators  # Python is not on the phone
    assert not list(fake.storage.iterdir())
    assert not processes_in(str(fake.storage))
    assert {path.name for path in out.iterdir()} == {"report.html", "report.md", "report.json"}


def test_a_phone_that_vanishes_leaves_a_report_that_says_so_and_can_be_gone_on_with(
    cli: Cli, fake: Fake, toml: Path, built_onnx: Path, tmp_path: Path
) -> None:
    out, whole = tmp_path / "report", tmp_path / "whole"
    command = ("profile", built_onnx, "--config", toml, "--device", "phone", *QUICK, "--out")
    cli(*command, whole, code=0)
    scripts = fake.scripts
    (fake.folder / "scripts").unlink()
    points = len(profiled(whole).receipts[0].points)
    fake.fails(*[""] * (scripts - points - _AFTER - 2), *["dead"] * 50)  # in the last but one start of the rounds
    done = cli(*command, out, code=1)
    assert "phone was lost" in done.stdout
    device = profiled(out)
    (found,) = device.receipts
    assert device.lost
    assert (found.status, found.reason) == ("lost", device.lost)
    assert 0 < len(found.starts) < ROUNDS
    assert "lost" in (out / "report.md").read_text().lower()
    fake.fails()
    cli(*command, out, "--resume", code=0)
    again = profiled(out).receipts[0]
    assert (again.status, len(again.starts)) == ("measured", ROUNDS)
    assert again.starts[0] == found.starts[0]
