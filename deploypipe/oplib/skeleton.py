"""Writes the start of a user's own op library: a C++ struct, its OpSpec and a test, which pass as they are."""

from __future__ import annotations

import keyword
import re
from pathlib import Path
from string import Template

from deploypipe.errors import DeployError

_TEMPLATES = Path(__file__).parent / "templates"
_FILES = {
    "ops.h": "ops.h.in",
    "{name}.h": "op.h.in",
    "{name}.py": "op.py.in",
    "test_{name}.py": "test_op.py.in",
}
# Names that mean something else in C++, in torch or in the project, or would hide one of the files.
_TAKEN = (
    "aten auto bool break case catch char class const default delete deploypipe do double else enum explicit "
    "export extern false float for friend goto if inline int long mutable namespace new onnx op operator ops "
    "prim private protected public register return short signed sizeof static struct switch template test "
    "this throw torch true try typedef typename union unsigned using virtual void volatile while"
)


def write(name: str, into: Path) -> list[Path]:
    """Writes the directory `into/name` with the skeleton of one op, which is called `name` too.

    Args:
        name: Lower-case letters, digits and `_`, starting with a letter.
        into: An existing or new directory.

    Returns:
        The files that were written.

    Raises:
        DeployError: The name cannot be used, or there is something of that name already.
    """
    _check_name(name)
    home = into / name
    try:
        home.mkdir(parents=True)
    except FileExistsError:
        raise DeployError(f"{home} is there already", "Choose another name, or remove it.") from None
    except OSError as error:
        raise DeployError(f"{home} cannot be made: {error.strerror}", "Choose another place.") from None
    words = {"name": name, "struct": _struct_name(name)}
    return [_write_one(home / file.format(name=name), template, words) for file, template in _FILES.items()]


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        raise DeployError(
            f"'{name}' cannot be the name of an op", "Use lower-case letters, digits and single underscores."
        )
    if name in _TAKEN.split() or keyword.iskeyword(name):
        raise DeployError(f"'{name}' has a meaning of its own", "Choose another name for the op.")


def _struct_name(name: str) -> str:
    """Returns `LeakyClipOp` for `leaky_clip`; the ending keeps it apart from the names of op.h."""
    return "".join(word.capitalize() for word in name.split("_")) + "Op"


def _write_one(path: Path, template: str, words: dict[str, str]) -> Path:
    path.write_text(Template((_TEMPLATES / template).read_text()).substitute(words))
    return path
