from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from deploypipe import native
from deploypipe.errors import DeployError

OwnSource = Callable[[str, str], native.OpSource]


def test_the_folder_gives_the_namespace(own: OwnSource) -> None:
    assert own("my_ops", "").namespace == "my_ops"


def test_the_projects_folder_is_the_projects_library() -> None:
    assert native.source(native.PROJECT.directory) == native.PROJECT


def test_a_folder_without_ops_h(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match=r"has no ops\.h.*ops new"):
        native.source(tmp_path)


@pytest.mark.parametrize("name", ["my-ops", "9lives", "class", "deploypipe", "torch"])
def test_a_name_that_cannot_be_a_namespace(own: OwnSource, name: str) -> None:
    with pytest.raises(DeployError, match=f"'{name}' cannot be the namespace"):
        own(name, "")


def test_the_digest_follows_the_text_of_the_library(own: OwnSource) -> None:
    source = own("mine", "// one")
    first = native.digest(source)
    assert first == native.digest(source)
    (source.directory / "ops.h").write_text("// two")
    second = native.digest(source)
    (source.directory / "more.cpp").write_text("")
    assert len({first, second, native.digest(source), native.digest(native.PROJECT)}) == 4


def test_the_digest_leaves_python_out(own: OwnSource) -> None:
    source = own("mine", "")
    before = native.digest(source)
    (source.directory / "square.py").write_text("")
    assert native.digest(source) == before


def test_the_digest_does_not_depend_on_the_place(tmp_path: Path, own: OwnSource) -> None:
    first = own("mine", "// one")
    (tmp_path / "elsewhere").mkdir()
    moved = first.directory.rename(tmp_path / "elsewhere" / "mine")
    before = native.digest(native.source(moved))
    again = own("mine", "// one")
    assert before == native.digest(again)
