"""A bundle is checked before anything in it is trusted: its names, its files and their digests."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from deploypipe.bundle import manifest as manifests
from deploypipe.bundle.manifest import FILE, GOLDEN, SIGNATURE, Manifest
from deploypipe.errors import DeployError
from deploypipe.fingerprint import file_digest

MAX_NAME = 200
CURE = "Build the bundle again, or get an undamaged copy."


def check(bundle: Path) -> Manifest:
    """Reads a bundle's manifest and checks every file against it.

    Raises:
        DeployError: A name leaves the bundle, a file is missing, truncated, changed, a link, or not
            listed, or the manifest itself or another file cannot be read.
    """
    try:
        manifest = manifests.read(bundle)
        check_names(manifest, bundle)
        _check_files(manifest, bundle)
    except OSError as error:
        raise DeployError(
            f"{bundle} cannot be read: {error.strerror}", "Make its files readable, or get an undamaged copy."
        ) from None
    return manifest


def _check_files(manifest: Manifest, bundle: Path) -> None:
    for name in (FILE, SIGNATURE):
        _refuse_link(bundle, name)
    for name, digest in manifest.files.items():
        _check_file(bundle, name, digest, manifest.sizes.get(name))
    _refuse_strangers(bundle, manifest)


def check_names(manifest: Manifest, bundle: Path) -> None:
    """Checks what a manifest lists, before any of it is looked for; `bundle` stands in the error text.

    Raises:
        DeployError: A name leaves the bundle, or a file is used that is not listed.
    """
    for name in manifest.files:
        _check_name(bundle, name)
    for name in (manifest.artifact, GOLDEN, *manifest.libraries()):
        if name not in manifest.files:
            raise DeployError(f"The manifest of {bundle} uses {name} but does not list it", CURE)


def listing(bundle: Path) -> tuple[dict[str, str], dict[str, int]]:
    """Returns digests and sizes of all files of a bundle but its manifest and signature, by relative name."""
    paths = {name: bundle / name for name in _names(bundle)}
    return {n: file_digest(p) for n, p in paths.items()}, {n: p.stat().st_size for n, p in paths.items()}


def _names(bundle: Path) -> list[str]:
    unlisted = (bundle / FILE, bundle / SIGNATURE)
    found = sorted(path for path in bundle.rglob("*") if not path.is_dir() or path.is_symlink())
    return [path.relative_to(bundle).as_posix() for path in found if path not in unlisted]


def _check_name(bundle: Path, name: str) -> None:
    if not name.isprintable() or len(name) > MAX_NAME:
        raise DeployError(f"The manifest of {bundle} names a file that cannot be: {name[:MAX_NAME]!r}", CURE)
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or not path.parts:
        raise DeployError(f"The manifest of {bundle} names a file outside of it: {name}", "Do not trust this bundle.")


def _refuse_link(bundle: Path, name: str) -> None:
    path = bundle / name
    if any(part.is_symlink() for part in (path, *path.parents) if part.is_relative_to(bundle) and part != bundle):
        raise DeployError(f"{name} in {bundle} is a link", "Do not trust this bundle.")


def _check_file(bundle: Path, name: str, digest: str, size: int | None) -> None:
    path = bundle / name
    _refuse_link(bundle, name)
    if not path.is_file():
        raise DeployError(f"{name} is missing in {bundle}", CURE)
    if path.stat().st_size != size:
        raise DeployError(f"{name} in {bundle} has {path.stat().st_size} bytes instead of {size}", CURE)
    if file_digest(path) != digest:
        raise DeployError(f"{name} in {bundle} was changed: its SHA-256 differs from the manifest", CURE)


def _refuse_strangers(bundle: Path, manifest: Manifest) -> None:
    if strangers := sorted(set(_names(bundle)) - set(manifest.files)):
        raise DeployError(f"{bundle} holds {strangers[0]}, which its manifest does not list", CURE)
