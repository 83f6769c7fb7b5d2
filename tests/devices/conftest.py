"""Devices for tests: behind the fake adb and ssh of the folder `fakes`, which run everything on this machine."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploypipe.devices import remote
from deploypipe.devices.adb import Adb
from deploypipe.devices.config import DeviceConfig
from deploypipe.devices.remote import Remote
from deploypipe.devices.ssh import Ssh

FAKES = Path(__file__).parent / "fakes"


@dataclass(frozen=True)
class Fake:
    """What a fake device is told, and what it saw.

    Attributes:
        folder: Its files.
    """

    folder: Path

    @property
    def storage(self) -> Path:
        """The folder in which deploypipe makes its own."""
        return self.folder / "storage"

    def fails(self, *faults: str) -> None:
        """Lets the next scripts fail, each in one of the ways of fakes/device; an empty one is a script that works."""
        (self.folder / "faults").write_text("".join(f"{fault or 'none'}\n" for fault in faults))

    @property
    def scripts(self) -> int:
        """How many scripts it was given."""
        return len((self.folder / "scripts").read_text().split())

    @property
    def calls(self) -> list[str]:
        """What else the program was asked for."""
        file = self.folder / "calls"
        return file.read_text().splitlines() if file.is_file() else []


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """A device that adb and ssh of PATH lead to; nothing is waited for after a loss."""
    found = Fake(tmp_path / "fake")
    found.storage.mkdir(parents=True)
    programs = Path(shutil.copytree(FAKES, tmp_path / "programs"))
    for program in programs.iterdir():
        program.chmod(0o755)
    monkeypatch.setenv("FAKE", str(found.folder))
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    monkeypatch.setattr(remote, "PAUSES", (0.0, 0.0))
    return found


@pytest.fixture(params=["adb", "ssh"])
def config(request: pytest.FixtureRequest, fake: Fake) -> DeviceConfig:
    """The fake device by each way."""
    folder = str(fake.storage)
    if request.param == "adb":
        return DeviceConfig(name="box", transport="adb", serial="0123", folder=folder)
    return DeviceConfig(name="box", transport="ssh", host="box", folder=folder)


@pytest.fixture
def device(config: DeviceConfig, fake: Fake) -> Iterator[Remote]:
    """The same, open."""
    link = Adb("box", config.serial) if config.transport == "adb" else Ssh("box", config.host, None)
    with closing(Remote(link, str(fake.storage))) as found:
        yield found


def processes_in(folder: str) -> list[str]:
    """Returns the commands that work in a folder of this machine."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == Path(folder):
                found.append((process / "cmdline").read_text().replace("\0", " ").strip())
        except OSError:
            continue
    return found


def are_gone(folder: str) -> bool:
    """Tells whether the processes in a folder have ended, as they do soon after they were told to."""
    for _ in range(200):
        if not processes_in(folder):
            return True
        time.sleep(0.01)
    return False
