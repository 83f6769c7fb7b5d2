"""`deploypipe runtimes install`, and that `runtimes` lists as before."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]


def test_one_that_is_installed_is_probed_and_kept(cli: Cli) -> None:
    said = cli("runtimes", "install", "tflite-runtime", code=0).stdout.splitlines()
    assert said[0].startswith("tflite-runtime is there and works: tflite-runtime 2.14.0, numpy 1.26.4, python 3.11.")
    assert Path(said[1]).name == "tflite-runtime"
    assert (Path(said[1]) / "bin" / "python").exists()


@pytest.mark.parametrize(
    ("name", "said", "cure"),
    [
        ("tflite-runtim", "There is no runtime 'tflite-runtim'.", "Did you mean 'tflite-runtime'?"),
        ("onnxruntime", "onnxruntime needs no environment of its own.", "pip install 'deploypipe[onnxruntime]'"),
        ("torchscript", "torchscript needs no environment of its own.", "Run `pip install 'deploypipe'`."),
    ],
)
def test_other_runtimes_are_not_installed_so(cli: Cli, name: str, said: str, cure: str) -> None:
    errors = cli("runtimes", "install", name, code=2).stderr.splitlines()
    assert said in errors[-2]
    assert cure in errors[-1]


def test_without_it_the_list_says_what_to_do(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOYPIPE_ENVIRONMENTS", str(tmp_path / "empty"))
    found = json.loads(cli("runtimes", "--json", code=0).stdout)["tflite-runtime"]
    assert not found["ok"]
    assert found["reason"] == ("Its environment is not installed. Run `deploypipe runtimes install tflite-runtime`.")
    assert "Its environment is not installed." in cli("runtimes", code=0).stdout


@pytest.mark.slow
def test_without_a_network_nothing_half_made_is_left(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"INDEX_URL": "http://127.0.0.1:9/simple", "RETRIES": "1", "CONFIG_FILE": "/dev/null"}
    for name, value in settings.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    for name in ("FIND_LINKS", "EXTRA_INDEX_URL"):
        monkeypatch.delenv(f"PIP_{name}", raising=False)
    monkeypatch.setenv("DEPLOYPIPE_ENVIRONMENTS", str(tmp_path / "empty"))
    errors = cli("runtimes", "install", "tflite-runtime", code=2).stderr
    assert "The environment of tflite-runtime cannot be made: pip reaches no package index." in errors
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_word_that_is_no_command_is_wrong_usage(cli: Cli) -> None:
    assert "Usage: deploypipe runtimes" in cli("runtimes", "instal", code=2).stderr
    assert "Usage: deploypipe runtimes install" in cli("runtimes", "install", code=2).stderr
