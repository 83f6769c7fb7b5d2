"""Loading a user's op library: what it gives, and each way in which it can be wrong.

The libraries are made from the skeleton. A case that needs a compiled library shares one, since a build
takes most of the time.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from deploypipe import native
from deploypipe.errors import DeployError
from deploypipe.oplib import load as loading
from deploypipe.oplib import registry
from deploypipe.ops import load


@pytest.fixture(scope="module")
def made(written: Path) -> Path:
    """A user's library that has been loaded."""
    load(written)
    return written


@pytest.fixture
def copy(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A library with a namespace of its own and the C++ half of the one that is loaded."""
    home = tmp_path / "copied_clip"
    shutil.copytree(made, home, ignore=shutil.ignore_patterns("__pycache__"))
    built = native.library("torch", native.source(made))
    monkeypatch.setattr(native, "library", lambda *_: built)
    return home


def _refused(home: Path, reason: str) -> None:
    with pytest.raises(DeployError, match=reason):
        load(home)
    assert not any(library.namespace == home.name for library in registry.libraries())


def test_a_loaded_library_runs(made: Path) -> None:
    x = torch.tensor([-2.0, 3.0], requires_grad=True)
    y = torch.ops.leaky_clip.leaky_clip(x, slope=0.5)
    y.sum().backward()
    assert y.tolist() == [-1, 3]
    assert x.grad is not None
    assert x.grad.tolist() == [0.5, 1]


def test_a_loaded_library_is_registered(made: Path) -> None:
    library = registry.get("leaky_clip")
    assert library.source.directory == made.resolve()
    found = registry.for_torch_op("leaky_clip::leaky_clip")
    assert found == (library, library.specs[0])


def test_loading_again_changes_nothing(made: Path) -> None:
    assert load(made) is registry.get("leaky_clip")
    assert load(str(made)) is registry.get("leaky_clip")


def test_a_changed_library_asks_for_a_new_process(made: Path) -> None:
    header = made / "leaky_clip.h"
    text = header.read_text()
    header.write_text(text.replace("slope * x[i]", "2 * slope * x[i]"))
    try:
        with pytest.raises(DeployError, match="changed after they had been loaded"):
            load(made)
    finally:
        header.write_text(text)


def test_another_directory_of_that_name_is_refused(made: Path, tmp_path: Path) -> None:
    other = tmp_path / made.name
    shutil.copytree(made, other, ignore=shutil.ignore_patterns("__pycache__"))
    with pytest.raises(DeployError, match=f"namespace '{made.name}' is taken"):
        load(other)


def test_no_directory() -> None:
    with pytest.raises(DeployError, match="nowhere"):
        load("nowhere")


def test_a_file_that_cannot_be_imported(copy: Path) -> None:
    (copy / "broken.py").write_text("1 / 0\n")
    _refused(copy, r"broken\.py cannot be imported: ZeroDivisionError")


def test_a_file_without_an_op(copy: Path) -> None:
    (copy / "helper.py").write_text("x = 1\n")
    _refused(copy, r"helper\.py defines 0 OpSpecs")


def test_a_file_with_two_ops(copy: Path) -> None:
    path = copy / "leaky_clip.py"
    path.write_text(path.read_text() + '\nOTHER = OpSpec("other", reference, samples)\n')
    _refused(copy, "defines 2 OpSpecs")


def test_helpers_and_tests_are_not_read(copy: Path) -> None:
    for name in ("_helper.py", "test_more.py", "conftest.py"):
        (copy / name).write_text("1 / 0\n")
    assert loading._read_specs(native.source(copy))[0].name == "leaky_clip"


def test_an_op_without_a_struct(copy: Path) -> None:
    path = copy / "leaky_clip.py"
    path.write_text(path.read_text().replace('"leaky_clip"', '"clop"'))
    _refused(copy, r"'clop' has an OpSpec but is not in .*ops\.h")


def test_a_struct_without_an_op(copy: Path) -> None:
    (copy / "leaky_clip.py").unlink()
    _refused(copy, r"'leaky_clip' is in .*ops\.h but has no OpSpec")


def test_two_ops_of_one_name(copy: Path) -> None:
    shutil.copy(copy / "leaky_clip.py", copy / "second.py")
    _refused(copy, "have one name")
