"""Running jobs: capture, lower, pack, verify, deliver."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from deploypipe import cache, noise, runtimes
from deploypipe.bundle.manifest import Verdict
from deploypipe.errors import DeployError, VerdictError
from deploypipe.layers import LayerState
from deploypipe.pipeline import keys
from deploypipe.pipeline.deliver import deliver
from deploypipe.pipeline.jobs import Job, check_out
from deploypipe.pipeline.outcome import Event, Outcome, Settings
from deploypipe.runtimes import Lowered

if TYPE_CHECKING:
    from deploypipe.bundle.pack import Contents
    from deploypipe.capture import Program

NOTES = "lowered.json"


class FailedVerdictError(VerdictError):
    """A bundle does not do what its model does."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__("; ".join(verdict.failures))
        self.verdict = verdict


def run(jobs: Sequence[Job], settings: Settings) -> list[Outcome]:
    """Runs every job; one that fails does not stop the others.

    Raises:
        DeployError: The output folder cannot be written, or the only model cannot be captured.
    """
    check_out(settings.out)
    stages = Stages(settings, several=len({job.spec.name for job in jobs}) > 1)
    return [_outcome(job, settings, stages) for job in jobs]


class Stages:
    """Runs the stages of one build, each once, and tells the observer.

    Attributes:
        several: There is more than one model.
        uncaptured: Models that cannot be captured, by name, and why; they are not tried again.
    """

    def __init__(self, settings: Settings, several: bool) -> None:
        self.several = several
        self._settings = settings
        self._fresh: set[tuple[str, str | None]] = set()
        self.uncaptured: dict[str, DeployError] = {}

    def run(self, row: str, name: str, key: str | None, make: Callable[[Path], None]) -> tuple[Path, str]:
        """Returns the folder of a stage's result, and `done` or `reused`."""
        self._settings.observe(Event(row, name, "started"))
        started = time.monotonic()
        # A stage that two artifacts share is forced only once.
        force = self._settings.force and (name, key) not in self._fresh
        with noise.logged(self._settings.log):
            folder, reused = cache.stage(name, key, make, force)
        self._fresh.add((name, key))
        state = "reused" if reused else "done"
        self._settings.observe(Event(row, name, state, time.monotonic() - started))
        return folder, state


def _outcome(job: Job, settings: Settings, stages: Stages) -> Outcome:
    started = time.monotonic()
    states: dict[str, str] = {}
    try:
        bundle = _bundle(job, _capture(job, stages, states), stages, states)
        delivered = deliver(bundle, settings.out / job.row)
        outcome = Outcome(job.row, delivered, delivered.manifest.verdict)
    except DeployError as error:
        if job.spec.name in stages.uncaptured and not stages.several:
            raise
        verdict = error.verdict if isinstance(error, FailedVerdictError) else None
        outcome = Outcome(job.row, None, verdict, _said(error, settings.out / job.row))
    outcome = replace(outcome, stages=states, seconds=time.monotonic() - started)
    settings.observe(outcome)
    return outcome


def _said(error: DeployError, place: Path) -> str:
    return f"{error} The bundle of an earlier build was left in its place." if place.exists() else str(error)


def _capture(job: Job, stages: Stages, states: dict[str, str]) -> Program:
    from deploypipe.capture import Program, capture

    if job.spec.name in stages.uncaptured:
        raise stages.uncaptured[job.spec.name]
    runtime, form = runtimes.get(job.request.runtime), job.form
    max_size = job.target.max_size if runtime.PLANS_MEMORY else None
    # One export serves every runtime that takes the model as it is.
    prepare = None if form.precision == "fp32" else functools.partial(runtime.prepare, form=form)
    key = keys.capture(job.spec, max_size, keys.prepared(runtime, form) if prepare else None)
    try:
        folder, state = stages.run(job.row, "capture", key, lambda folder: capture(job.spec, max_size, folder, prepare))
    except DeployError as error:
        stages.uncaptured[job.spec.name] = error
        raise
    states["capture"] = state
    return Program.load(job.spec, folder, key, prepare)


def _bundle(job: Job, program: Program, stages: Stages, states: dict[str, str]) -> Path:
    from deploypipe.bundle.pack import Contents

    runtime = runtimes.get(job.request.runtime)
    # Without custom ops a decomposed graph is the graph.
    form = job.form if program.facts.ops else replace(job.form, decomposed=False)

    def lower(folder: Path) -> None:
        lowered = runtime.lower(program, form, folder / runtime.ARTIFACT)
        layers = [each.model_dump() for each in lowered.layers]
        (folder / NOTES).write_text(json.dumps({"notes": dict(lowered.notes), "layers": layers}))

    lower_key = keys.lower(program.key, runtime, form)
    lowered, states["lower"] = stages.run(job.row, "lower", lower_key, lower)
    key = keys.bundle(lower_key, job.target, job.request, program.facts.ops, runtime)
    contents = Contents(
        program=program,
        target=job.target,
        request=job.request,
        form=form,
        artifact=lowered / runtime.ARTIFACT,
        lowered=_lowered(lowered / NOTES),
        key=key or "",
    )
    folder, states["verify"] = stages.run(job.row, "verify", key, lambda folder: _verified(contents, folder))
    return folder


def _lowered(notes: Path) -> Lowered:
    told = json.loads(notes.read_text())
    return Lowered(told["notes"], tuple(LayerState.model_validate(each) for each in told["layers"]))


def _verified(contents: Contents, folder: Path) -> None:
    from deploypipe.bundle.pack import pack, seal
    from deploypipe.bundle.verify import verify

    manifest = pack(contents, folder)
    program = contents.program
    finding = verify(folder, program.spec.evaluate, program.facts.scores)
    if not finding.verdict.passed:
        raise FailedVerdictError(finding.verdict)
    seal(manifest, finding, folder)
