"""The app as one has it on disk: its packages, and the server that `npm start` starts."""

from __future__ import annotations

import json
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from deploypipe import embed

from .verdicts import App

HERE = Path(__file__).parent


def test_the_app_is_tested_with_the_packages_that_it_names() -> None:
    own = json.loads((embed.get("browser").folder / "package.json").read_text())["dependencies"]
    tested = json.loads((HERE / "package.json").read_text())["dependencies"]
    assert own.items() <= tested.items()


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_the_server_serves_files_of_the_app_and_nothing_else(app: App, onnx_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(app(onnx_bundle))
    (tmp_path / "secret").write_text("mine")
    with subprocess.Popen(["node", tmp_path / "link" / "serve.mjs", "0"], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        url = server.stdout.readline().split()[0]
        try:
            for path in ("", "page.js", "bundle/model.onnx"):
                assert status(url + path) == 200
            for path in ("bundle", "none", "%2e%2e%2fsecret", "..%5csecret", "%00", "%"):
                assert status(url + path) == 404, path
        finally:
            server.kill()


def test_a_port_that_cannot_be_used_gets_one_sentence(app: App, onnx_bundle: Path) -> None:
    place = app(onnx_bundle)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for word in (str(taken.getsockname()[1]), "abc"):
            done = subprocess.run(["node", "serve.mjs", word], cwd=place, capture_output=True, text=True, check=False)
            assert done.returncode == 2
            assert done.stderr.startswith(f"Error: Port {word} cannot be used: ")
            assert done.stderr.endswith("Name another one: npm start -- PORT\n")
