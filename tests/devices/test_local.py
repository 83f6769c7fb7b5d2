"""This machine as a device."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from deploypipe.devices.local import Local
from deploypipe.errors import DeployError

from .conftest import are_gone


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Local]:
    with closing(Local(str(tmp_path))) as found:
        yield found


def test_files_and_commands(here: Local, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text('#!/bin/sh\necho "$1"; echo err >&2; exit 3\n')
    program.chmod(0o755)
    assert here.push({"bin/program": program}) == program.stat().st_size
    assert here.push({"bin/program": program}) == 0
    done = here.run(["bin/program", "$HOME *"], timeout=60)
    assert (done.code, done.out, done.err, done.crash) == (3, "$HOME *\n", "err\n", "")
    here.pull("bin/program", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == program.read_bytes()


def test_a_running_program_can_be_replaced(here: Local, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(Path("/bin/sleep").read_bytes())
    program.chmod(0o755)
    here.push({"program": program})
    with subprocess.Popen([here.folder / "program", "600"]) as running:
        program.write_text("#!/bin/sh\necho new\n")
        here.push({"program": program})
        running.kill()
    assert here.run(["./program"], timeout=60).out == "new\n"


@pytest.mark.parametrize("name", ["SEGV", "ILL"])
def test_a_crash_is_told(here: Local, name: str) -> None:
    assert here.run(["sh", "-c", f"kill -{name} $$"], timeout=60).crash == f"SIG{name}"


def test_a_command_that_is_not_there(here: Local) -> None:
    done = here.run(["./none"], timeout=60)
    assert (done.code, done.err) == (127, "./none: No such file or directory")
    (here.folder / "data").write_text("")
    assert here.run(["./data"], timeout=60).code == 126


def test_what_takes_too_long_is_ended_with_its_children(here: Local) -> None:
    with pytest.raises(DeployError, match=r"sh took longer than 0.5 s and was ended"):
        here.run(["sh", "-c", "sleep 600 & echo $! > child; wait"], timeout=0.5)
    assert are_gone(str(here.folder))


def test_a_server_that_a_command_leaves_is_not_waited_for(here: Local) -> None:
    server = int(here.run(["sh", "-c", "sleep 600 & echo $!"], timeout=60).out)
    os.kill(server, signal.SIGTERM)


def test_a_file_that_is_not_there(here: Local, tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="There is no report on this machine"):
        here.pull("report", tmp_path / "report")


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    here = Local(str(tmp_path))
    here.run(["touch", "made"], timeout=60)
    here.close()
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match=r"No folder can be made in .*none: No such file or directory"):
        Local(str(tmp_path / "none"))
