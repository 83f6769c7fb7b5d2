"""The command line as a whole: fast help, usage errors, and errors as a sentence with a cure."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import deploypipe

Cli = Callable[..., Any]

HEAVY = {"torch", "numpy", "onnx", "onnxruntime", "onnxscript", "executorch", "sklearn", "torchvision"}
LOADED = """
import sys
{}
print(",".join(sorted({{name.partition(".")[0] for name in sys.modules}})))
"""


def modules_after(statement: str) -> set[str]:
    program = [sys.executable, "-c", LOADED.format(statement)]
    return set(subprocess.run(program, capture_output=True, text=True, check=True).stdout.split("\n")[-2].split(","))


COMMANDS = [["--help"], ["build", "--help"], ["models"], ["targets"], ["runtimes"], ["doctor"], ["ops", "--help"]]
COMMANDS += [["runtimes", "--help"], ["runtimes", "install", "--help"]]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_and_lists_import_no_framework(words: list[str]) -> None:
    run = f"""
from deploypipe.cli import main
sys.argv = ["deploypipe", *{words!r}]
try:
    main()
except SystemExit as stop:
    assert not stop.code
"""
    assert modules_after(run).isdisjoint(HEAVY)


@pytest.mark.parametrize("statement", ["import deploypipe", "from deploypipe import ModelSpec, Axis, OpSpec"])
def test_importing_the_package_imports_no_framework(statement: str) -> None:
    assert modules_after(statement).isdisjoint(HEAVY | {"rich", "typer"})


def test_every_public_name_is_there_and_no_other() -> None:
    assert all(getattr(deploypipe, name) for name in deploypipe.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'quantize'"):
        _ = deploypipe.quantize


@pytest.mark.parametrize(
    "words", [["bild"], ["build"], ["build", "m", "--targt", "x"], ["run", "b"], ["train", "mlp", "--epochs", "0"]]
)
def test_wrong_usage_exits_with_2(cli: Cli, words: list[str]) -> None:
    assert "Usage: deploypipe" in cli(*words, code=2).stderr


@pytest.mark.parametrize(
    ("words", "said", "cure"),
    [
        (["build", "mpl"], "There is no model 'mpl'.", "Did you mean 'mlp'?"),
        (["build", "mlp", "--target", "labtop"], "There is no target 'labtop'.", "Did you mean 'laptop'?"),
        (["build", "mlp", "--runtime", "tensorrt"], "There is no runtime 'tensorrt'.", ""),
        (["build", "mlp", "--runtime", "onnxruntime", "--precision", "fp8"], "There is no precision 'fp8'.", "'fp32'"),
        (["build", "mlp", "--target", "edge.toml"], "unknown key 'max_sise'.", "Did you mean 'max_size'?"),
        (["build", "mlp", "--target", "server", "--target", "server"], "Two targets have the name 'server'.", "Rename"),
        (["build", "mlp", "--target", "laptop", "--out", "edge.toml"], "edge.toml cannot be written", "--out"),
        (["build", "mlp", "lltm", "--checkpoint", "x"], "--checkpoint goes with one model", "Load your own"),
        (["build", "none.py:f", "--target", "laptop"], "There is no file none.py.", "FILE.py:FUNCTION"),
        (["train", "mpl"], "There is no model 'mpl' in the zoo.", "Did you mean 'mlp'?"),
        (["verify", "."], ". is not a bundle: it has no manifest.json.", "Name the folder"),
        (["inspect", "nowhere"], "nowhere is not a bundle", "Name the folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_a_sentence_and_a_cure(cli: Cli, tmp_path: Path, words: list[str], said: str, cure: str) -> None:
    target = 'name = "edge"\nmax_sise = 3\n[[artifact]]\nruntime = "onnxruntime"\n'
    (tmp_path / "work" / "edge.toml").write_text(target)
    done = cli(*words, code=2)
    assert done.stderr.strip().splitlines()[-2].startswith("Error: ")
    assert said in done.stderr
    assert cure in done.stderr.splitlines()[-1]
    assert done.stdout == ""
    assert [path.name for path in (tmp_path / "work").iterdir() if path.name != "dist"] == ["edge.toml"]


def test_a_traceback_is_shown_with_debug_only(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "work" / "m.py").write_text("def model(): return [][0]\n")
    words = ["build", "m.py:model", "--runtime", "torchscript"]
    assert "m.py:model fails: IndexError: list index out of range." in cli(*words, code=2).stderr
    with pytest.raises(AssertionError, match="Traceback"):
        cli(*words, "--debug")
