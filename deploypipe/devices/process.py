"""Runs a program on this machine, with an end to it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from deploypipe.errors import DeployError


@dataclass(frozen=True)
class Ended:
    """A program that ended.

    Attributes:
        code: Its exit status, negative where a signal ended it.
        out: Standard output.
        err: Standard error.
    """

    code: int
    out: bytes
    err: bytes


def run(words: Sequence[str], timeout: float, folder: Path | None = None, stdin: IO[bytes] | None = None) -> Ended:
    """Runs a program, and ends it and its children where it takes longer.

    One that ends by itself may leave a server in the background, as ssh and adb do. What it writes goes to files, so
    that such a server holds no pipe open.

    Args:
        words: The program and its arguments.
        timeout: Seconds.
        folder: Where it works.
        stdin: What it reads; nothing by default.

    Raises:
        OSError: It cannot be started.
        subprocess.TimeoutExpired: It took longer.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            words, cwd=folder, stdin=stdin or subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
        )
        try:
            code = process.wait(timeout)
        except BaseException:
            _end(process)
            raise
        return Ended(code, _read(out), _read(err))


def late(command: Sequence[str], timeout: float) -> DeployError:
    """Returns the error of a command that took too long and was ended."""
    return DeployError(f"{Path(command[0]).name} took longer than {timeout:g} s and was ended", "Give it less to do.")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a process and all that is left of its group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _read(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()
