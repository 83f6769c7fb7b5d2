"""Models in a user's file: `path/to/file.py:function`."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploypipe.cli.source import is_file_model, load_function
from deploypipe.errors import DeployError
from deploypipe.fingerprint import digest


@pytest.fixture(autouse=True)
def unchanged_imports(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a user's file adds to this process is taken away again."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.parametrize(("name", "is_file"), [("my.py:model", True), ("a/my.py", True), ("x:y", True), ("mlp", False)])
def test_a_file_is_told_from_the_name_of_a_model(name: str, is_file: bool) -> None:
    assert is_file_model(name) is is_file


def test_a_function_gives_its_model(home: Path) -> None:
    assert load_function(f"{home}/my.py:model").name == "mine"


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("nothing", "returns a NoneType. Return a deploypipe.ModelSpec"),
        ("asks", "The weights are not there. Download them."),
        ("leaves", "fails: SystemExit: 0"),
        ("modle", "has no function 'modle'. Did you mean 'model'?"),
        ("OFFSET", "has no function 'OFFSET'."),
        ("", "names no function"),
    ],
)
def test_a_function_that_gives_no_model_is_refused(home: Path, function: str, said: str) -> None:
    with pytest.raises(DeployError) as caught:
        load_function(f"{home}/my.py:{function}")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import no_such_module", "cannot be imported: ModuleNotFoundError: No module named 'no_such_module'"),
        ("def model(:", "cannot be imported: SyntaxError: invalid syntax"),
        ("raise SystemExit(0)", "cannot be imported: SystemExit: 0"),
    ],
)
def test_a_file_that_cannot_be_imported_is_refused(home: Path, text: str, said: str) -> None:
    (home / "my.py").write_text(text)
    with pytest.raises(DeployError) as caught:
        load_function(f"{home}/my.py:model")
    assert said in str(caught.value)


def test_files_of_one_name_are_kept_apart(home: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "my.py").write_text((home / "my.py").read_text().replace("OFFSET = 0.0", "OFFSET = 1.0"))
    one, two = (load_function(f"{folder}/my.py:model") for folder in (home, other))
    assert digest(one.module) != digest(two.module)
    (home / "my.py").write_text((home / "my.py").read_text() + "\n")
    assert digest(one.module) != digest(load_function(f"{other}/my.py:model").module)


def test_a_file_may_have_the_name_of_a_standard_module(home: Path) -> None:
    (home / "my.py").rename(home / "types.py")
    spec = load_function(f"{home}/types.py:model")
    assert sys.modules["types"] is types
    before = digest(spec.module)
    (home / "types.py").write_text((home / "types.py").read_text() + "\n")
    assert digest(spec.module) != before


def test_a_file_may_import_its_neighbours(home: Path) -> None:
    (home / "neighbour_of_my.py").write_text("NAME = 'from-next-door'\n")
    with (home / "my.py").open("a") as file:
        file.write("\nfrom neighbour_of_my import NAME\ndef next_door():\n    return spec(Net(), NAME)\n")
    assert load_function(f"{home}/my.py:next_door").name == "from-next-door"
