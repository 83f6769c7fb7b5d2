"""Folders that appear whole or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploypipe.errors import DeployError


@contextmanager
def new_folder(place: Path) -> Iterator[Path]:
    """Gives the path of a folder that is to be made, and that is renamed to its place at the end.

    Args:
        place: A folder that is not there, or is empty. What is beside it on the same disk holds the new one meanwhile.

    Raises:
        DeployError: It cannot be written.
    """
    try:
        place.absolute().parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".staging-", dir=place.absolute().parent) as staging:
            new = Path(staging) / "new"
            yield new
            new.rename(place)
    except OSError as error:
        raise DeployError(f"{place} cannot be written: {error.strerror}", "Choose another folder.") from None
