"""What of a bundle can work in a kind of project."""

from __future__ import annotations

from deploypipe import runtimes
from deploypipe.bundle.manifest import Manifest
from deploypipe.embed.kinds import Kind
from deploypipe.errors import DeployError
from deploypipe.target import this_platform


def refuse(manifest: Manifest, kind: Kind) -> None:
    """Refuses a bundle that cannot run in a kind of project.

    Raises:
        DeployError: Its runtime is not to be had there, or it needs an op library that cannot be loaded there.
    """
    name = manifest.runtime.name
    if name not in kind.runtimes:
        known = " or ".join(f"`--runtime {each}`" for each in kind.runtimes)
        raise DeployError(f"A bundle for {name} cannot run in {kind.where}", f"Build one with {known}.")
    if not kind.op_libraries and manifest.libraries() and not runtimes.get(name).PORTABLE:
        raise DeployError(
            f"This bundle needs its op library, which is for {manifest.platform} and cannot be loaded in {kind.where}",
            f"Build one without: `--runtime {name} --decomposed`.",
        )


def notes(manifest: Manifest, kind: Kind) -> list[str]:
    """Returns what one should know of a bundle that will work: one sentence each."""
    if not manifest.libraries():
        return []
    if not kind.op_libraries:
        return [f"Its op library, for {manifest.platform}, stays unused in {kind.where}: the artifact runs without."]
    if manifest.platform != this_platform():
        return [f"Its op library is for {manifest.platform}; this is {this_platform()}, where it cannot be loaded."]
    return []
