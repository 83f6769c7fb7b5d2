"""Delivery: a verified bundle moves from the cache to its place under the output folder, whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from deploypipe.bundle import integrity
from deploypipe.bundle import manifest as manifests
from deploypipe.errors import DeployError
from deploypipe.pipeline.outcome import Bundle


def deliver(bundle: Path, place: Path) -> Bundle:
    """Copies a bundle to its place, replacing one that is there unless it is the same and undamaged.

    Raises:
        DeployError: The place is taken by something that is not a bundle, or cannot be written.
    """
    manifest = integrity.check(bundle)
    if not _is_there(bundle, place):
        _replace(bundle, place)
    return Bundle(place, manifest)


def _is_there(bundle: Path, place: Path) -> bool:
    try:
        same = (place / manifests.FILE).read_bytes() == (bundle / manifests.FILE).read_bytes()
        return same and bool(integrity.check(place))
    except (OSError, DeployError):
        return False


def _replace(bundle: Path, place: Path) -> None:
    if place.exists() and not (place / manifests.FILE).is_file() and (not place.is_dir() or any(place.iterdir())):
        raise DeployError(f"{place} is in the way: it is not a bundle", "Move it, or choose another folder with --out.")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        _swap(bundle, place, Path(tempfile.mkdtemp(prefix=".staging-", dir=place.parent)))
    except OSError as error:
        raise DeployError(f"{place} cannot be written: {error.strerror}", "Choose another folder with --out.") from None


def _swap(bundle: Path, place: Path, staging: Path) -> None:
    old = staging / "old"
    try:
        shutil.copytree(bundle, staging / "new")
        if place.exists():
            place.rename(old)
        (staging / "new").rename(place)
    finally:
        if old.exists() and not place.exists():
            old.rename(place)
        shutil.rmtree(staging, ignore_errors=True)
