"""Keeps what frameworks print while they work out of the user's sight, in a log that errors can name."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def logged(log: Path | None) -> Iterator[None]:
    """Sends standard output and error of this process, C++ included, to a file; None leaves them."""
    if log is None:
        yield
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    kept = os.dup(1), os.dup(2)
    with log.open("ab") as file:
        _point(file.fileno(), file.fileno())
        try:
            yield
        finally:
            _point(*kept)
            for descriptor in kept:
                os.close(descriptor)


def _point(out: int, err: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(out, 1)
    os.dup2(err, 2)
