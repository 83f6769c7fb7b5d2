"""Where the C++ of an op library lies: the project's own, or a user's."""

from __future__ import annotations

import keyword
import re
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from deploypipe import fingerprint
from deploypipe.errors import DeployError

# The folders of csrc that op libraries are made from.
_PARTS = ("", "op", "simd", "kernels", "bindings", "tools", "toolchains")

_TAKEN = frozenset({"aten", "deploypipe", "onnx", "prim", "torch"})


@dataclass(frozen=True)
class OpSource:
    """The C++ half of an op library.

    Attributes:
        directory: Holds `ops.h`, and the headers and `.cpp` files that belong to it.
        namespace: The ops are registered as `<namespace>::<op>`.
    """

    directory: Path
    namespace: str

    @property
    def kernels(self) -> Path:
        """The folder of the `.cpp` files beside the list of ops."""
        return self.directory / "kernels" if self.directory == _csrc() else self.directory


def _csrc() -> Path:
    """Returns the folder csrc: of the checkout that this file belongs to, else of the installed wheel."""
    checkout = Path(__file__).resolve().parents[2] / "csrc"
    installed = Path(sysconfig.get_path("data")) / "share" / "deploypipe" / "csrc"
    return checkout if checkout.is_dir() or not installed.is_dir() else installed


PROJECT = OpSource(_csrc(), "deploypipe")


def source(directory: Path) -> OpSource:
    """Returns the op library in a folder; the folder's name becomes its namespace.

    Raises:
        DeployError: There is no `ops.h`, or the name cannot be a namespace.
    """
    directory = directory.resolve()
    if directory == PROJECT.directory:
        return PROJECT
    if not (directory / "ops.h").is_file():
        cure = "Give the folder that holds the ops.h of your library; 'deploypipe ops new' writes one."
        raise DeployError(f"{directory} has no ops.h", cure)
    name = directory.name
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or keyword.iskeyword(name) or name in _TAKEN:
        cure = "Rename it to letters, digits and underscores; the name becomes the namespace of the ops."
        raise DeployError(f"The folder name '{name}' cannot be the namespace of an op library", cure)
    return OpSource(directory, name)


def digest(source: OpSource) -> str:
    """Returns a digest of all C++ that the libraries of a source are made from, wherever it lies."""
    own = {} if source == PROJECT else _files(source.directory, ("",))
    return fingerprint.digest(source.namespace, _files(PROJECT.directory, _PARTS), own)


def _files(directory: Path, parts: tuple[str, ...]) -> dict[str, str]:
    kinds = {".h", ".cpp", ".cmake", ".txt"}
    found = (path for part in parts for path in (directory / part).glob("*") if path.suffix in kinds)
    return {str(path.relative_to(directory)): fingerprint.file_digest(path) for path in found}
