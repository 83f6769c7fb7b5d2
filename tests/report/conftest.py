"""The synthetic report, written once, and Chromium to open it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploypipe import report as reports
from deploypipe.profile.receipt import Report
from deploypipe.report.overview import Overview
from tests.browser import conftest as browser

from . import synthetic

Shown = Callable[..., dict[str, Any]]

# What both folders of tests use of Chromium.
modules = browser.modules
artifacts = browser.artifacts


@pytest.fixture(scope="session")
def report() -> Report:
    """A report with everything that one can hold."""
    return synthetic.report(runs=70)


@pytest.fixture(scope="session")
def overview(report: Report) -> Overview:
    """The same, summed up."""
    return Overview.of(report)


@pytest.fixture(scope="session")
def written(report: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with its three files."""
    return reports.write(report, tmp_path_factory.mktemp("report")).parent


@pytest.fixture
def shown(modules: Path, tmp_path: Path) -> Shown:
    """Opens a page in Chromium, and returns what it shows in some looks."""
    (tmp_path / "node_modules").symlink_to(modules)
    for script in (Path(__file__).parent / "screenshot.mjs", Path(browser.__file__).parent / "chromium.mjs"):
        shutil.copy(script, tmp_path)

    def look(page: Path, pictures: Path, *looks: str) -> dict[str, Any]:
        environment = os.environ | {"CHROMIUM": shutil.which(browser.CHROMIUM) or ""}
        command = ["node", str(tmp_path / "screenshot.mjs"), str(page), str(pictures), *looks]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return look
