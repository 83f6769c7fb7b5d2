"""An app with a bundle inside, Node.js to call its modules, and Chromium to open its page."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import deploypipe
from deploypipe import cache, embed, zoo

from .verdicts import App, Node, Trained

HERE = Path(__file__).parent
CHROMIUM = "chromium-headless-shell"


@pytest.fixture(scope="session")
def modules() -> Path:
    """The npm packages that the app and these tests need."""
    home = cache.root() / "browser"
    for what in ("node", CHROMIUM):
        if shutil.which(what) is None:
            pytest.skip(f"{what} is not installed: run scripts/bootstrap dev")
    if not (home / "installed.json").is_file():
        pytest.skip("the npm packages are not installed: run scripts/browser")
    return (home / "node_modules").resolve()


@pytest.fixture
def app(modules: Path, tmp_path: Path) -> App:
    """Writes the project that `deploypipe embed --for browser` writes, with its packages installed."""

    def make(bundle: Path) -> Path:
        place = tmp_path / "app"
        embed.write(bundle, embed.get("browser"), place)
        (place / "node_modules").symlink_to(modules)
        return place

    return make


@pytest.fixture
def node(modules: Path, tmp_path: Path) -> Node:
    """Runs one of the scripts beside this file, and returns the JSON that it writes, a value a line."""
    home = tmp_path / "scripts"
    home.mkdir()
    (home / "node_modules").symlink_to(modules)
    for script in HERE.glob("*.mjs"):
        shutil.copy(script, home)

    def run(script: str, *words: object, given: object = None) -> list[Any]:
        environment = os.environ | {"CHROMIUM": shutil.which(CHROMIUM) or ""}
        command = ["node", str(home / script), *map(str, words)]
        done = subprocess.run(
            command, env=environment, input=json.dumps(given), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return run


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Builds a trained model of the zoo for the browser; stages that the cache holds are not run again."""

    def build(name: str) -> Path:
        out = tmp_path_factory.mktemp("dist")
        bundle: Path = deploypipe.build(zoo.spec(name), out=out, targets=["browser"])[0].path
        return bundle

    return build


@pytest.fixture
def artifacts() -> Path:
    """Where screenshots are kept."""
    place = cache.root() / "artifacts"
    place.mkdir(parents=True, exist_ok=True)
    return place
