"""What a report says of a bundle."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from deploypipe.bundle import archive
from deploypipe.bundle import manifest as manifests
from deploypipe.bundle.manifest import Manifest
from deploypipe.errors import DeployError
from deploypipe.fingerprint import file_digest
from deploypipe.profile.receipt import BundleFacts


@dataclass(frozen=True)
class Subject:
    """A bundle that is profiled.

    Attributes:
        path: Its folder, checked.
        manifest: What it says about itself.
        facts: What the report says of it.
    """

    path: Path
    manifest: Manifest
    facts: BundleFacts


def subjects(paths: Sequence[Path], stack: ExitStack) -> tuple[Subject, ...]:
    """Opens bundles, folders and zips, after checking every file of them.

    Args:
        paths: The bundles; the same one twice counts once.
        stack: Ends what is unpacked.

    Raises:
        DeployError: One is damaged, or two have one name.
    """
    found = {path.resolve(): _subject(path, stack) for path in paths}
    names = [each.facts.name for each in found.values()]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DeployError(f"Two bundles are called {twice[0]}", "Profile them in runs of their own.")
    return tuple(found.values())


def _subject(path: Path, stack: ExitStack) -> Subject:
    folder, manifest = stack.enter_context(archive.opened(path.resolve()))
    return Subject(folder, manifest, described(path.resolve(), folder, manifest))


def described(path: Path, folder: Path, manifest: Manifest) -> BundleFacts:
    """Returns what a report says of a bundle.

    Args:
        path: That the user named: the folder, or the zip.
        folder: Where it lies.
        manifest: What it says about itself.
    """
    verdict = manifest.verdict
    return BundleFacts(
        name="/".join((manifest.model, manifest.target, path.stem if path.is_file() else path.name)),
        model=manifest.model,
        target=manifest.target,
        runtime=manifest.runtime.name,
        runtime_version=manifest.runtime.built_with,
        precision=manifest.request.precision,
        form=", ".join(dict.fromkeys(op.path for op in manifest.ops)),
        bundle_bytes=sum(manifest.sizes.values()),
        artifact_bytes=manifest.sizes[manifest.artifact],
        scores=verdict.scores if verdict else {},
        eager_scores=verdict.eager_scores if verdict else {},
        parity=verdict.parity() if verdict else None,
        budgets=manifest.budgets,
        digest=file_digest(folder / manifests.FILE),
    )
