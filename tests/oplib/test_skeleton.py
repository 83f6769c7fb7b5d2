"""`deploypipe ops new`: what it writes works as it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from deploypipe.errors import DeployError
from deploypipe.oplib import skeleton


def test_the_files(tmp_path: Path) -> None:
    files = skeleton.write("leaky_clip", tmp_path / "new")
    home = tmp_path / "new" / "leaky_clip"
    assert files == [home / name for name in ("ops.h", "leaky_clip.h", "leaky_clip.py", "test_leaky_clip.py")]
    assert "struct LeakyClipOp" in (home / "leaky_clip.h").read_text()
    assert not any("$" in path.read_text() for path in files)


@pytest.mark.slow
def test_the_written_test_passes(written: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", "."]
    run = subprocess.run(command, cwd=written, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "5 passed" in run.stdout


@pytest.mark.parametrize("name", ["", "Leaky", "1st", "a-b", "a b", "../x", "a__b", "a_", "ünd"])
def test_a_name_that_is_no_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DeployError, match="cannot be the name of an op"):
        skeleton.write(name, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["class", "template", "lambda", "aten", "deploypipe", "op", "ops", "test"])
def test_a_name_with_a_meaning_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DeployError, match="has a meaning of its own"):
        skeleton.write(name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    skeleton.write("mine", tmp_path)
    (tmp_path / "mine" / "mine.h").write_text("my work")
    with pytest.raises(DeployError, match="is there already"):
        skeleton.write("mine", tmp_path)
    assert (tmp_path / "mine" / "mine.h").read_text() == "my work"


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DeployError, match="cannot be made"):
        skeleton.write("mine", tmp_path / "file")
