"""Folders that appear whole or not at all, and not inside of what they are made from."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploypipe.errors import DeployError, first_line


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
        raise DeployError(f"{place} cannot be written: {_reason(error)}", "Choose another folder.") from None


def _reason(error: OSError) -> str:
    """Says why; the error of a copied folder holds one for each of its files that could not be copied."""
    if isinstance(error, shutil.Error):
        _, _, reason = error.args[0][0]
        return str(reason)
    return error.strerror or first_line(error)


def refuse_inside(place: Path, bundle: Path) -> None:
    """Refuses to write something into the bundle that it is made from.

    Raises:
        DeployError: The place lies there.
    """
    if place.resolve().is_relative_to(bundle.resolve()):
        raise DeployError(f"{place} lies in the bundle, which it would change", "Choose a place outside of it.")
