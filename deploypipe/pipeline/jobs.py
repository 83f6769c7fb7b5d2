"""What to build: targets and models become a list of jobs, checked before any work is done."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deploypipe import runtimes
from deploypipe import target as targets_module
from deploypipe.errors import DeployError, nearest
from deploypipe.runtimes import Form
from deploypipe.spec import ModelSpec
from deploypipe.target import ArtifactRequest, Target


@dataclass(frozen=True)
class Job:
    """One artifact to be made.

    Attributes:
        spec: The resolved model.
        target: Whom it is for.
        request: Which of the target's artifacts it is.
    """

    spec: ModelSpec
    target: Target
    request: ArtifactRequest

    @property
    def decomposed(self) -> bool:
        """Whether custom ops are decomposed, as the target or else the runtime says."""
        asked = self.request.decomposed
        return runtimes.get(self.request.runtime).DECOMPOSES if asked is None else asked

    @property
    def form(self) -> Form:
        """How its artifact is asked for."""
        request = self.request
        return Form(self.decomposed, request.precision, self.target.batches, request.kept_float)

    @property
    def row(self) -> str:
        """Its place under the output folder."""
        return f"{self.spec.name}/{self.target.name}/{self.request.folder}"


def choose_targets(
    asked: Sequence[str | Target],
    runtime_names: Sequence[str],
    precision: str | None = None,
    decomposed: bool | None = None,
) -> list[Target]:
    """Returns the targets to build for.

    Args:
        asked: Names, paths or targets; all shipped ones when neither they nor runtimes are given.
        runtime_names: Keeps only these artifacts of the targets; without targets, this machine.
        precision: Of the artifacts for this machine; fp32 if None.
        decomposed: Of the artifacts for this machine; None leaves it to the runtime.

    Raises:
        DeployError: A target or runtime is unknown, two targets have one name, or a precision or form was given
            where the targets say it.
    """
    for name in runtime_names:
        runtimes.get(name)
    if (asked or not runtime_names) and (precision, decomposed) != (None, None):
        raise DeployError(
            "A precision or a form goes with runtimes for this machine; targets say theirs in their file",
            "Name a --runtime and no --target, or write a target.",
        )
    chosen = [each if isinstance(each, Target) else targets_module.load(each) for each in asked]
    if runtime_names:
        unique = list(dict.fromkeys(runtime_names))
        host = targets_module.host_target(unique, precision or "fp32", decomposed)
        chosen = [_restricted(each, unique) for each in chosen] or [host]
    chosen = chosen or [targets_module.load(name) for name in targets_module.shipped()]
    names = [each.name for each in chosen]
    if twice := [name for name in names if names.count(name) > 1]:
        raise DeployError(f"Two targets have the name '{twice[0]}'", "Rename one of them.")
    return chosen


def jobs_of(specs: Sequence[ModelSpec], targets: Sequence[Target]) -> list[Job]:
    """Returns one job per model, target and artifact.

    Raises:
        DeployError: A model contradicts itself, two have one name, or an artifact cannot be made here.
    """
    from deploypipe.capture import resolve

    resolved = [resolve(spec) for spec in specs]
    names = [spec.name for spec in resolved]
    if twice := [name for name in names if names.count(name) > 1]:
        raise DeployError(f"Two models have the name '{twice[0]}'", "Rename one of them.")
    check_targets(targets)
    return [Job(spec, target, each) for spec in resolved for target in targets for each in target.artifacts]


def check_targets(targets: Sequence[Target]) -> None:
    """Checks that this machine can build for the targets.

    Raises:
        DeployError: A runtime or precision is unknown or not available, an artifact stands twice in a
            target, or a target is for another platform, or for one that does not have the runtime.
    """
    for target in targets:
        if target.platform not in (targets_module.HOST, targets_module.BROWSER, targets_module.this_platform()):
            raise DeployError(
                f"The target '{target.name}' is for {target.platform}; this is {targets_module.this_platform()}",
                "Build it on such a machine: a bundle that cannot be run here cannot be verified.",
            )
        folders = [request.folder for request in target.artifacts]
        if twice := [folder for folder in folders if folders.count(folder) > 1]:
            raise DeployError(f"The target '{target.name}' asks for {twice[0]} twice", "Remove one of the two.")
        for request in target.artifacts:
            _check_platform(request, target)
            _check_request(request)


def check_out(out: Path) -> None:
    """Tries to write where the output folder is or will be; leaves nothing behind.

    Raises:
        DeployError: It cannot be made or written.
    """
    there = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    try:
        tempfile.TemporaryFile(dir=there).close()
    except OSError as error:
        raise DeployError(f"{out} cannot be written: {error.strerror}", "Choose another folder with --out.") from None


def _restricted(target: Target, runtime_names: Sequence[str]) -> Target:
    kept = tuple(each for each in target.artifacts if each.runtime in runtime_names)
    if not kept:
        has = ", ".join(sorted({each.runtime for each in target.artifacts}))
        raise DeployError(
            f"The target '{target.name}' has no artifact for {', '.join(runtime_names)}", f"It has {has}."
        )
    return target.model_copy(update={"artifacts": kept})


def _check_request(request: ArtifactRequest) -> None:
    runtime = runtimes.get(request.runtime)
    if refused := runtime.REFUSED.get(request.precision):
        raise DeployError(f"{runtime.NAME} has no {request.precision}: {refused.reason}", f"Take {refused.nearest}.")
    if request.precision not in runtime.PRECISIONS:
        raise DeployError(
            f"There is no precision '{request.precision}'", nearest(request.precision, list(runtime.PRECISIONS))
        )
    usable = runtime.available()
    if not usable.ok:
        raise DeployError(f"The runtime {runtime.NAME} cannot be used here", usable.reason)


def _check_platform(request: ArtifactRequest, target: Target) -> None:
    if target.platform == targets_module.BROWSER and not runtimes.get(request.runtime).PORTABLE:
        raise DeployError(
            f"The target '{target.name}' is for a browser, in which {request.runtime} does not run", "Take onnxruntime."
        )
