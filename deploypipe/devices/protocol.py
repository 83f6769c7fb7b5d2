"""What every transport provides, and what a command on a device comes back with."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from deploypipe.errors import DeployError


class LostDeviceError(DeployError):
    """The device went away: what it was doing is not known."""

    exit_code = 1


@dataclass(frozen=True)
class Finished:
    """A command that ran to its end on a device.

    Attributes:
        code: Its exit status; above 128 a signal ended it, as a shell counts.
        out: Standard output.
        err: Standard error.
    """

    code: int
    out: str
    err: str

    @property
    def crash(self) -> str:
        """The name of the signal that ended it, such as SIGILL, or an empty string."""
        try:
            return signal.Signals(self.code - 128).name if self.code > 128 else ""
        except ValueError:
            return ""


class Transport(Protocol):
    """A way to a device. All names are relative to a folder of the device that the transport made for itself."""

    def push(self, files: Mapping[str, Path]) -> int:
        """Copies files to the device, with their permission to execute; what is there already is left as it is.

        Args:
            files: By their names there, `bundle/manifest.json`.

        Returns:
            Bytes that had to be copied.

        Raises:
            LostDeviceError: The device went away.
        """

    def run(self, command: Sequence[str], timeout: float) -> Finished:
        """Runs a command in that folder.

        Args:
            command: Words; none is expanded.
            timeout: Seconds; a command that takes longer is ended, there and here.

        Raises:
            DeployError: It took longer.
            LostDeviceError: The device went away.
        """

    def ask(self, script: str) -> str:
        """Runs a script of sh that changes nothing, and returns what it writes; a lost link is tried again.

        Raises:
            LostDeviceError: The device went away.
        """

    def pull(self, name: str, to: Path) -> None:
        """Copies a file from the device.

        Raises:
            DeployError: There is no such file.
            LostDeviceError: The device went away.
        """

    def close(self) -> None:
        """Removes the folder from the device, and everything else that was left there."""
