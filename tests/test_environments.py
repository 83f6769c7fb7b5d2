"""Environments of their own: made whole or not at all, found only while they are whole."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from deploypipe import environments, installed
from deploypipe.environments import Environment
from deploypipe.errors import DeployError

VERSIONS = {"tiny-thing": "1.0", "python": "3"}


def fine(python: Path) -> Mapping[str, str]:
    assert python.is_file()
    return VERSIONS


def broken(python: Path) -> Mapping[str, str]:
    raise DeployError("_ARRAY_API not found")


def tiny(probe: environments.Probe = fine, version: str = "1.0") -> Environment:
    return Environment("tiny", (f"tiny-thing=={version}",), probe)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of environments."""
    folder = tmp_path / "environments"
    monkeypatch.setenv("DEPLOYPIPE_ENVIRONMENTS", str(folder))
    return folder


@pytest.fixture
def no_pip(home: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Makes folders as venv and pip would; returns what was made."""
    made: list[str] = []
    folders: list[Path] = []

    def run(command: Sequence[str], environment: Environment) -> None:
        if "venv" in command:
            made.append("venv")
            folders.append(Path(command[-1]))
            (folders[-1] / "bin").mkdir()
            (folders[-1] / "bin" / "python").symlink_to(sys.executable)
            return
        made.append("pip")
        name, _, version = command[-1].partition("==")
        info = folders[-1] / "lib" / "python3.11" / "site-packages" / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").touch()

    monkeypatch.setattr(environments, "_run", run)
    return made


def left(home: Path) -> list[str]:
    return sorted(path.name for path in home.iterdir())


def test_the_folder_is_that_of_the_variable_or_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOYPIPE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("DEPLOYPIPE_ENVIRONMENTS", raising=False)
    assert environments.root() == tmp_path / "cache" / "environments"
    monkeypatch.setenv("DEPLOYPIPE_ENVIRONMENTS", str(tmp_path / "own"))
    assert environments.root() == tmp_path / "own"


@pytest.mark.slow
@pytest.mark.parametrize("pip_here", [True, False])
def test_an_environment_is_installed_by_pip_and_runs_where_it_was_moved(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pip_here: bool
) -> None:
    monkeypatch.setattr(installed, "version", lambda name: "25.0" if pip_here else None)
    with zipfile.ZipFile(tmp_path / "tiny_thing-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny_thing.py", "ANSWER = 42\n")
        wheel.writestr("tiny_thing-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-thing\nVersion: 1.0\n")
        wheel.writestr(
            "tiny_thing-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("tiny_thing-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    found, before = environments.install(tiny())
    assert (before, found.folder, dict(found.versions)) == (False, home / "tiny", VERSIONS)
    program = "import sys, tiny_thing; print(tiny_thing.ANSWER, sys.prefix)"
    done = subprocess.run([found.python, "-I", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["42", str(home / "tiny")]


def test_one_that_is_there_and_works_is_kept(home: Path, no_pip: list[str]) -> None:
    assert environments.find(tiny()) is None
    first, _ = environments.install(tiny())
    second, before = environments.install(tiny())
    assert before
    assert first == second == environments.find(tiny())
    assert no_pip == ["venv", "pip"]
    assert left(home) == ["tiny"]


def test_force_makes_it_again(home: Path, no_pip: list[str]) -> None:
    environments.install(tiny())
    (home / "tiny" / "old").touch()
    _, before = environments.install(tiny(), force=True)
    assert not before
    assert not (home / "tiny" / "old").exists()
    assert left(home) == ["tiny"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / environments.STAMP).unlink(),
        lambda folder: (folder / environments.STAMP).write_text('{"requirements": ['),
        lambda folder: (folder / environments.STAMP).write_text("[]"),
        lambda folder: (folder / environments.STAMP).write_text(json.dumps({"versions": VERSIONS})),
        lambda folder: (folder / "bin" / "python").unlink(),
        lambda folder: next(folder.rglob("METADATA")).unlink(),
    ],
    ids=["no stamp", "half a stamp", "another stamp", "no requirements", "no python", "no package"],
)
def test_what_is_damaged_is_not_found_and_made_again(home: Path, no_pip: list[str], damage: object) -> None:
    environments.install(tiny())
    assert callable(damage)
    damage(home / "tiny")
    assert environments.find(tiny()) is None
    _, before = environments.install(tiny())
    assert not before
    assert environments.find(tiny())


def test_other_requirements_are_another_environment(no_pip: list[str]) -> None:
    environments.install(tiny())
    assert environments.find(tiny(version="1.1")) is None
    environments.install(tiny(version="1.1"))
    assert environments.find(tiny()) is None
    assert environments.find(tiny(version="1.1"))


def test_one_whose_probe_fails_is_never_taken_for_whole(home: Path, no_pip: list[str]) -> None:
    with pytest.raises(DeployError, match="_ARRAY_API not found"):
        environments.install(tiny(broken))
    assert environments.find(tiny()) is None
    assert left(home) == []


def test_one_whose_probe_fails_later_is_made_again(no_pip: list[str]) -> None:
    environments.install(tiny())
    answers = iter([broken, fine])

    def second_time(python: Path) -> Mapping[str, str]:
        return next(answers)(python)

    _, before = environments.install(tiny(second_time))
    assert not before
    assert no_pip == ["venv", "pip"] * 2


def test_an_interrupted_installation_leaves_nothing(home: Path, no_pip: list[str]) -> None:
    def interrupted(python: Path) -> Mapping[str, str]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        environments.install(tiny(interrupted))
    assert left(home) == []


def test_two_installations_at_once_leave_one(home: Path, no_pip: list[str]) -> None:
    def faster(python: Path) -> Mapping[str, str]:
        environments.install(tiny())
        return VERSIONS

    found, _ = environments.install(tiny(faster))
    assert environments.find(tiny()) == found
    assert left(home) == ["tiny"]


def test_a_folder_that_cannot_be_written_has_a_cure(
    no_pip: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DEPLOYPIPE_ENVIRONMENTS", str(tmp_path / "file"))
    with pytest.raises(DeployError, match=r"cannot be written to .*file: .*Set DEPLOYPIPE_ENVIRONMENTS"):
        environments.install(tiny())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            "because ensurepip is not available.",
            "this Python makes no virtual environments. Run `apt-get install python3-venv`.",
        ),
        (
            "ERROR: No matching distribution found for tiny-thing==1.0",
            "the index has no wheel of tiny-thing==1.0 for Python 3.11 on this machine. Use a Python and a platform",
        ),
        ("Retrying after connection broken by 'NewConnectionError('", "pip reaches no package index. Connect"),
        ("No space left on device.", "cannot be made: No space left on device. Run it again."),
    ],
)
def test_what_venv_and_pip_say_becomes_a_cure(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, said: str
) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho "{words}" >&2\nexit 1\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(DeployError, match=re.escape(said)):
        environments.install(tiny())
    assert left(home) == []


def test_a_failed_installation_leaves_the_one_that_was_there(home: Path, no_pip: list[str]) -> None:
    environments.install(tiny())
    with pytest.raises(DeployError, match="_ARRAY_API not found"):
        environments.install(tiny(broken, "1.1"))
    assert environments.find(tiny())
    assert left(home) == ["tiny"]
