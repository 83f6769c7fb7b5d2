"""Folders that appear whole or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from deploypipe import staging
from deploypipe.errors import DeployError


def test_a_folder_appears_at_the_end(tmp_path: Path) -> None:
    place = tmp_path / "a" / "b"
    with staging.new_folder(place) as new:
        new.mkdir()
        (new / "file").write_text("x")
        assert not place.exists()
    assert [each.name for each in place.parent.iterdir()] == ["b"]
    assert (place / "file").read_text() == "x"


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    def fails() -> None:
        with staging.new_folder(tmp_path / "place") as new:
            new.mkdir()
            raise KeyError("x")

    with pytest.raises(KeyError):
        fails()
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_copied_says_why(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "link").symlink_to("nowhere")
    with (
        pytest.raises(DeployError, match=r"place cannot be written: .+No such file or directory"),
        staging.new_folder(tmp_path / "place") as new,
    ):
        shutil.copytree(tmp_path / "source", new)
    assert [each.name for each in tmp_path.iterdir()] == ["source"]


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DeployError, match="cannot be written"), staging.new_folder(tmp_path / "file" / "place"):
        pytest.fail("there is no such place")
