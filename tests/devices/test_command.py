"""`deploypipe devices`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploypipe.devices import emulator
from deploypipe.target import this_platform

from .conftest import Fake

Cli = Callable[..., Any]


@pytest.fixture
def toml(fake: Fake, tmp_path: Path) -> Path:
    """Devices of which one answers and one does not."""
    file = tmp_path / "devices.toml"
    file.write_text(f"""
[[device]]
name = "phone"
transport = "adb"
serial = "0123"
folder = "{fake.storage}"
runtimes = {{ onnxruntime = "{file}" }}

[[device]]
name = "far"
transport = "ssh"
host = "far"
folder = "{fake.storage}/none"
""")
    return file


def test_each_device_says_what_it_is_or_why_it_cannot_be_used(cli: Cli, toml: Path, fake: Fake) -> None:
    found = {each["name"]: each for each in json.loads(cli("devices", "--config", toml, "--json", code=0).stdout)}
    assert list(found) == ["phone", "far", "local", "cortex-a53", "cortex-a76"]
    assert found["local"]["facts"]["platform"] == this_platform()
    assert "onnxruntime" in found["local"]["runtimes"]
    assert found["phone"]["ok"]
    assert found["phone"]["facts"]["cores"]
    assert found["phone"]["runtimes"]["onnxruntime"] == str(toml)
    assert not found["far"]["ok"]
    assert found["far"]["facts"] is None
    assert found["far"]["reason"].startswith("No folder can be made on far: ")
    assert list(fake.storage.iterdir()) == []


def test_emulated_processors_are_told_as_such(cli: Cli) -> None:
    found = {each["name"]: each for each in json.loads(cli("devices", "--json", code=0).stdout)}
    there = emulator.available()
    assert found["cortex-a53"]["emulates"] == "cortex-a53"
    assert found["cortex-a53"]["ok"] == there.ok
    assert there.reason in found["cortex-a53"]["reason"]


def test_people_read_a_table(cli: Cli, toml: Path) -> None:
    said = cli("devices", "--config", toml, code=0).stdout
    assert all(word in said for word in ("phone", "adb", this_platform(), "emulator, local", "No folder can be made"))


def test_a_wrong_file_is_one_sentence(cli: Cli, toml: Path) -> None:
    toml.write_text("[[device]]\nname = 'x'\nhots = 'y'\n")
    assert "unknown key 'hots'" in cli("devices", "--config", toml, code=2).stderr
