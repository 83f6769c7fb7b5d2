"""A project with a bundle in it, written whole or not at all."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploypipe import staging
from deploypipe.bundle import archive
from deploypipe.bundle.manifest import Manifest
from deploypipe.embed import fit, sdk, template
from deploypipe.embed.kinds import Kind
from deploypipe.errors import DeployError


@dataclass(frozen=True)
class Project:
    """A project that was written.

    Attributes:
        place: Its folder.
        manifest: Of the bundle in it.
        notes: What one should know, one sentence each.
    """

    place: Path
    manifest: Manifest
    notes: tuple[str, ...]


def write(bundle: Path, kind: Kind, place: Path) -> Project:
    """Checks a bundle and writes a project with it.

    Args:
        bundle: A bundle's folder, or a zip of it.
        kind: What it is for.
        place: A new or empty folder.

    Raises:
        DeployError: The bundle is damaged or cannot run there, or the folder is in use, in the bundle, or cannot be
            written.
    """
    with archive.opened(bundle) as (folder, manifest):
        fit.refuse(manifest, kind)
        staging.refuse_inside(place, bundle)
        with staging.new_folder(place) as new:
            _refuse_taken(place)
            _fill(folder, manifest, kind, new)
    return Project(place, manifest, tuple(fit.notes(manifest, kind)))


def _refuse_taken(place: Path) -> None:
    if place.is_symlink() or (place.exists() and (not place.is_dir() or any(place.iterdir()))):
        raise DeployError(f"{place} is in use", "Name a new folder, or an empty one.")


def _fill(bundle: Path, manifest: Manifest, kind: Kind, place: Path) -> None:
    template.render(kind.folder, _words(manifest), place)
    settings = template.settings(kind.folder)
    sdk.copy_sources(settings, place)
    inside = place / settings.bundle
    inside.parent.mkdir(parents=True, exist_ok=True)
    if inside.suffix == ".zip":
        archive.write_zip(bundle, manifest, inside)
    else:
        shutil.copytree(bundle, inside)


def _words(manifest: Manifest) -> dict[str, Any]:
    from deploypipe import __version__

    return {
        "model": manifest.model,
        "manifest": manifest.model_dump(mode="json", by_alias=True),
        "version": __version__,
    }
