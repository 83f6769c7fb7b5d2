"""The kinds of projects, and what can run in each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deploypipe.errors import DeployError, nearest
from deploypipe.runtimes import NAMES as RUNTIMES
from deploypipe.target import SHIPPED


@dataclass(frozen=True)
class Kind:
    """A kind of project.

    Attributes:
        name: What `--for` calls it.
        where: Where its bundles run, in words.
        template: Folder below `deploypipe/targets` that it is made from.
        runtimes: Those that can be embedded there.
        op_libraries: Op libraries that were built on a machine like this one can be loaded there.
    """

    name: str
    where: str
    template: str
    runtimes: tuple[str, ...]
    op_libraries: bool

    @property
    def folder(self) -> Path:
        """The folder of the template."""
        return SHIPPED / self.template


_KINDS = (
    Kind("cpp", "a C++ program", "laptop/app", tuple(n for n in RUNTIMES if n != "tflite-runtime"), True),
    Kind("python", "a Python program", "server/app", RUNTIMES, True),
    Kind("browser", "a browser", "browser/app", ("onnxruntime",), False),
    Kind("android", "an Android app", "mobile/android", ("onnxruntime", "litert"), False),
    Kind("ios", "an iOS app", "mobile/ios", ("onnxruntime",), False),
)

NAMES = tuple(kind.name for kind in _KINDS)


def get(name: str) -> Kind:
    """Returns a kind of project by its name.

    Raises:
        DeployError: There is no such kind.
    """
    found = {kind.name: kind for kind in _KINDS}.get(name)
    if found is None:
        raise DeployError(f"There is no kind of project '{name}'", nearest(name, list(NAMES)))
    return found
