"""This machine as a device."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploypipe.devices import process
from deploypipe.devices.protocol import Finished
from deploypipe.errors import DeployError
from deploypipe.fingerprint import file_digest

_ASK_SECONDS = 30.0


class Local:
    """A folder of this machine; a `Transport`."""

    def __init__(self, parent: str) -> None:
        """Makes the folder.

        Args:
            parent: Where; an empty string takes the system's place for temporary files.

        Raises:
            DeployError: It cannot be made.
        """
        try:
            self.folder = Path(tempfile.mkdtemp(prefix="deploypipe-", dir=parent or None))
        except OSError as error:
            cure = "Name another folder in devices.toml."
            raise DeployError(f"No folder can be made in {parent}: {error.strerror}", cure) from None

    def push(self, files: Mapping[str, Path]) -> int:
        """See `Transport`."""
        return sum(_copy(path, self.folder / name) for name, path in files.items())

    def run(self, command: Sequence[str], timeout: float) -> Finished:
        """See `Transport`."""
        try:
            ended = process.run(command, timeout, self.folder)
        except subprocess.TimeoutExpired:
            raise process.late(command, timeout) from None
        except OSError as error:  # as a shell says it
            code = 127 if isinstance(error, FileNotFoundError) else 126
            return Finished(code, "", f"{command[0]}: {error.strerror}")
        code = ended.code if ended.code >= 0 else 128 - ended.code
        return Finished(code, ended.out.decode(errors="replace"), ended.err.decode(errors="replace"))

    def ask(self, script: str) -> str:
        """See `Transport`."""
        return self.run(["sh", "-c", script], _ASK_SECONDS).out

    def pull(self, name: str, to: Path) -> None:
        """See `Transport`."""
        if not (self.folder / name).is_file():
            raise DeployError(f"There is no {name} on this machine", "See what was to write it.")
        shutil.copyfile(self.folder / name, to)

    def close(self) -> None:
        """See `Transport`."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _copy(path: Path, to: Path) -> int:
    if to.is_file() and file_digest(to) == file_digest(path):
        return 0
    to.parent.mkdir(parents=True, exist_ok=True)
    half = to.with_name(f".half-{to.name}")  # a program that runs cannot be written, but replaced
    shutil.copy(path, half)
    half.replace(to)
    return to.stat().st_size
