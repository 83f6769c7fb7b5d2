"""A store of finished stages, each found by a key made from everything that it depends on."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path

from deploypipe.errors import DeployError


def root() -> Path:
    """Returns the folder of all caches: DEPLOYPIPE_CACHE, or `deploypipe` in the user's cache folder."""
    if own := os.environ.get("DEPLOYPIPE_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "deploypipe"


def folder(name: str) -> Path:
    """Makes a folder of the cache, and returns it.

    Raises:
        DeployError: It cannot be made.
    """
    place = root() / name
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DeployError(
            f"The cache {root()} cannot be written: {error.strerror}", "Set DEPLOYPIPE_CACHE to a folder that can."
        ) from None
    return place


def stage(name: str, key: str | None, make: Callable[[Path], None], force: bool = False) -> tuple[Path, bool]:
    """Returns the folder of a finished stage, running it only when it is not there yet.

    The folder appears by one rename, so an interrupted run leaves nothing that looks finished.

    Args:
        name: The stage, a folder of the cache.
        key: Digest of everything that the result depends on; None runs the stage every time.
        make: Fills the empty folder that it is given.
        force: Runs the stage even if its result is there, and replaces it.

    Returns:
        The folder, and whether it was there before.

    Raises:
        DeployError: The cache cannot be written.
    """
    home = folder(name)
    done = home / (key or uuid.uuid4().hex)
    if key and done.is_dir() and not force:
        return done, True
    staging = Path(tempfile.mkdtemp(prefix=".staging-", dir=home))
    try:
        make(staging)
        _replace(done, staging, force)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return done, False


def _replace(done: Path, staging: Path, force: bool) -> None:
    """Puts a result in its place; what another process has put there meanwhile is the same, and stays."""
    if force:
        shutil.rmtree(done, ignore_errors=True)
    try:
        staging.rename(done)
    except OSError:
        if not done.is_dir():
            raise
