"""One measurement at a time on a device, whoever takes it: another thread, or another process."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from typing import IO

from deploypipe import cache, fingerprint

# Seconds of waiting that need no word, and between two looks meanwhile.
MOMENT, _LOOK = 1.0, 0.05


@contextlib.contextmanager
def held(device: str, tell: Callable[[str], None]) -> Iterator[None]:
    """Waits until nobody else has the device, and has it.

    Args:
        device: What it is, the same whatever it is called.
        tell: Is told when the waiting takes longer than a moment.

    Raises:
        DeployError: The cache cannot be written.
    """
    with (cache.folder("devices") / f"{fingerprint.digest(device)}.lock").open("a+") as file:
        if not _at_once(file):
            tell(f"waiting for {device}, which process {_holder(file)} is measuring on")
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _at_once(file: IO[str]) -> bool:
    end = time.monotonic() + MOMENT
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if time.monotonic() >= end:
            return False
        time.sleep(_LOOK)


def _holder(file: IO[str]) -> str:
    file.seek(0)
    return file.read()
