"""The files of a report."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from deploypipe import report as reports
from deploypipe.errors import DeployError
from deploypipe.profile import receipt
from deploypipe.profile.receipt import Report

from . import changed


def test_a_report_is_three_files(report: Report, written: Path) -> None:
    assert sorted(path.name for path in written.iterdir()) == ["report.html", "report.json", "report.md"]
    assert receipt.read(written) == report


def test_a_folder_that_cannot_be_made_gets_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DeployError, match=r"file/out cannot be written: Not a directory. Choose another folder."):
        reports.write(changed.report(), tmp_path / "file" / "out")


def test_without_plotly_there_is_a_cure_and_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "plotly.offline", raising=False)
    monkeypatch.setitem(sys.modules, "plotly", None)
    with pytest.raises(DeployError, match=r"The report needs plotly. Install it: pip install 'deploypipe\[profile\]'"):
        reports.write(changed.report(), tmp_path)
    assert list(tmp_path.iterdir()) == []
