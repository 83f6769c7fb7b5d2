"""The files of a report."""

from __future__ import annotations

from pathlib import Path

from deploypipe.errors import DeployError
from deploypipe.profile.receipt import Report
from deploypipe.report import page, text
from deploypipe.report.overview import Overview

PAGE, TEXT = "report.html", "report.md"


def write(report: Report, out: Path) -> Path:
    """Writes `report.html`, `report.md` and `report.json`, each whole or not at all.

    Args:
        report: What a profile found.
        out: A folder, which is made where it is not there.

    Returns:
        The page.

    Raises:
        DeployError: The folder cannot be written, or plotly is not installed.
    """
    overview = Overview.of(report)
    found = {PAGE: _page(overview), TEXT: text.render(overview)}
    try:
        out.mkdir(parents=True, exist_ok=True)
        report.write(out)
        for name, content in found.items():
            half = out / f".{name}"
            half.write_text(content, encoding="utf-8")
            half.replace(out / name)
    except OSError as error:
        raise DeployError(f"{out} cannot be written: {error.strerror}", "Choose another folder.") from None
    return out / PAGE


def _page(overview: Overview) -> str:
    try:
        return page.render(overview)
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("plotly"):
            raise
        raise DeployError("The report needs plotly", "Install it: pip install 'deploypipe[profile]'.") from None
