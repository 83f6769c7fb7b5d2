"""A profile that was interrupted goes on where it stopped."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import TypeAdapter

from deploypipe.errors import DeployError
from deploypipe.profile import journal

NUMBER = TypeAdapter(int)
IDENTITY = {"lltm/laptop/onnxruntime-fp32": "digest"}


def never() -> int:
    raise AssertionError("it is known")


def test_what_is_known_is_not_measured_again(tmp_path: Path) -> None:
    first = journal.opened(tmp_path, "phone", IDENTITY, resume=False)
    assert first.once("round 0", NUMBER, lambda: 7) == 7
    assert first.once("round 0", NUMBER, never) == 7
    later = journal.opened(tmp_path, "phone", IDENTITY, resume=True)
    assert later.once("round 0", NUMBER, never) == 7


def test_without_resume_it_begins_anew(tmp_path: Path) -> None:
    journal.opened(tmp_path, "phone", IDENTITY, resume=False).once("round 0", NUMBER, lambda: 7)
    again = journal.opened(tmp_path, "phone", IDENTITY, resume=False)
    assert again.once("round 0", NUMBER, lambda: 8) == 8


def test_a_line_that_was_cut_off_counts_as_not_measured(tmp_path: Path) -> None:
    begun = journal.opened(tmp_path, "phone", IDENTITY, resume=False)
    for number in range(2):
        begun.once(f"round {number}", NUMBER, lambda: 7)
    assert begun.file
    begun.file.write_text(begun.file.read_text()[:-4])
    later = journal.opened(tmp_path, "phone", IDENTITY, resume=True)
    assert later.once("round 0", NUMBER, never) == 7
    assert later.once("round 1", NUMBER, lambda: 8) == 8


def test_other_bundles_do_not_go_on(tmp_path: Path) -> None:
    journal.opened(tmp_path, "phone", IDENTITY, resume=False)
    with pytest.raises(DeployError, match="other bundles or another protocol"):
        journal.opened(tmp_path, "phone", {"lltm/laptop/onnxruntime-fp32": "another"}, resume=True)
