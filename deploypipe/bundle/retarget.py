"""A bundle for another machine: its op libraries are built for that platform, and all else stays as it is."""

from __future__ import annotations

import shutil
from pathlib import Path

from deploypipe import native, runtimes, staging
from deploypipe.bundle import integrity
from deploypipe.bundle import manifest as manifests
from deploypipe.bundle.manifest import SIGNATURE, Manifest
from deploypipe.errors import DeployError
from deploypipe.native.sources import PROJECT
from deploypipe.target import BROWSER

# Its artifacts are machine code.
_COMPILED = "aotinductor"


def retarget(bundle: Path, platform: str, folder: Path) -> Path:
    """Makes a copy of a bundle for another platform.

    Its op libraries are built from the sources that are here now. Its verdict is still that of the machine that it was
    built on, so that it has to be verified where it runs; a signature is not copied.

    Args:
        bundle: A folder.
        platform: That op libraries can be built for here, such as `linux-aarch64`.
        folder: Of the copy: not there yet, or empty.

    Returns:
        The folder of the copy.

    Raises:
        DeployError: The bundle is damaged or cannot run on that platform, or its op libraries cannot be built.
    """
    manifest = integrity.check(bundle)
    _refuse(manifest, platform)
    libraries = {name: _library(bundle / name, manifest, platform) for name in manifest.libraries()}
    with staging.new_folder(folder) as new:
        shutil.copytree(bundle, new, ignore=shutil.ignore_patterns(SIGNATURE))
        for name, library in libraries.items():
            shutil.copy2(library, new / name)
        digests, sizes = integrity.listing(new)
        changes = {"platform": platform, "files": digests, "sizes": sizes}
        manifests.write(manifest.model_copy(update=changes), new)
    return folder


def _refuse(manifest: Manifest, platform: str) -> None:
    if manifest.platform == BROWSER:
        raise DeployError(f"The bundle is for browsers, not for {platform}", "Build one for another target.")
    if manifest.runtime.name == _COMPILED:
        raise DeployError(
            f"The artifact of {_COMPILED} is machine code for {manifest.platform}, not for {platform}",
            "Build the model for another runtime.",
        )


def _library(file: Path, manifest: Manifest, platform: str) -> Path:
    """Returns the op library for a platform that stands for one of a bundle."""
    namespace = native.describe(file)["namespace"]
    if namespace != PROJECT.namespace:
        raise DeployError(
            f"The op library {file.name} cannot be built for {platform}: its source is not known here",
            f"Build the bundle on {platform}.",
        )
    return native.library(runtimes.get(manifest.runtime.name).BINDING, PROJECT, platform)
