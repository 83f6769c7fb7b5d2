"""The pipeline: a ModelSpec becomes verified bundles, stage by stage, each stage cached by content."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from deploypipe import cache
from deploypipe.errors import VerdictError
from deploypipe.pipeline.jobs import check_out, check_targets, choose_targets, jobs_of
from deploypipe.pipeline.outcome import Bundle, Event, Observe, Outcome, Settings
from deploypipe.pipeline.run import run
from deploypipe.spec import ModelSpec
from deploypipe.target import Target

__all__ = [
    "Bundle",
    "Event",
    "Observe",
    "Outcome",
    "Settings",
    "build",
    "check_out",
    "check_targets",
    "choose_targets",
    "default_log",
    "jobs_of",
    "run",
]


def build(
    spec: ModelSpec,
    targets: str | Target | Sequence[str | Target] = (),
    out: str | Path = "dist",
    *,
    runtimes: Sequence[str] = (),
    precision: str | None = None,
    decomposed: bool | None = None,
    force: bool = False,
) -> list[Bundle]:
    """Builds, verifies and delivers the bundles of a model.

    Args:
        spec: The model.
        targets: Names of shipped targets, paths of TOML files, or targets; all shipped ones when
            neither targets nor runtimes are given.
        out: Receives `<model>/<target>/<runtime>-<precision>/`.
        runtimes: Only these runtimes; without targets, for this machine.
        precision: Of the artifacts for this machine; fp32 if None.
        decomposed: Of the artifacts for this machine: True replaces custom ops by their reference, False takes
            our kernels, None leaves it to the runtime.
        force: Runs every stage, whatever is cached.

    Returns:
        One bundle per artifact of each target.

    Raises:
        DeployError: The model or a target is wrong, or something that is needed is missing.
        VerdictError: A bundle failed its verdict; those that passed have been delivered.
    """
    asked = [targets] if isinstance(targets, str | Target) else list(targets)
    jobs = jobs_of([spec], choose_targets(asked, runtimes, precision, decomposed))
    outcomes = run(jobs, Settings(Path(out), force, log=default_log()))
    if failed := [outcome for outcome in outcomes if outcome.bundle is None]:
        raise VerdictError("; ".join(f"{outcome.row}: {outcome.error}" for outcome in failed))
    return [outcome.bundle for outcome in outcomes if outcome.bundle]


def default_log() -> Path:
    """Returns the file that collects what frameworks print."""
    return cache.folder("logs") / "build.log"
