"""One trial: a setting becomes a verified bundle, in whatever process runs this."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from deploypipe import noise
from deploypipe.errors import DeployError
from deploypipe.search.candidate import Candidate, Measured
from deploypipe.spec import ModelSpec
from deploypipe.target import ArtifactRequest, Budgets, Target

if TYPE_CHECKING:
    from deploypipe.compress.recipe import Pruning
    from deploypipe.pipeline import Outcome

Make = Callable[[], ModelSpec]
"""Makes the model: a function of a module, or a `functools.partial` of one, so that other processes can call it."""


@dataclass(frozen=True)
class Task:
    """What a process is told.

    Attributes:
        make: Makes the model.
        target: Whom it is for, without budgets, which are judged afterwards.
        request: The artifact, in the precision of the setting and with the layers that stay float.
        candidate: The setting.
        out: Receives the bundle.
        log: Where the frameworks' own output goes; None lets it through.
    """

    make: Make
    target: Target
    request: ArtifactRequest
    candidate: Candidate
    out: Path
    log: Path | None


def ungated(target: Target) -> Target:
    """Returns a target without limits of what is to be measured; outputs are compared all the same."""
    limits = target.limits.model_copy(update={"accuracy_drop": 100.0})
    return target.model_copy(update={"limits": limits, "budgets": Budgets()})


def run(task: Task) -> Measured:
    """Builds and verifies the bundle of a setting; a failure is a result as well."""
    started = time.monotonic()
    with noise.logged(task.log):
        try:
            measured = _measured(task, _built(task))
        except DeployError as error:
            measured = Measured(candidate=task.candidate, failure=error.message)
    return measured.model_copy(update={"seconds": time.monotonic() - started})


def _built(task: Task) -> Outcome:
    from deploypipe import pipeline

    spec = model(task.make, task.candidate.pruning)
    target = task.target.model_copy(update={"artifacts": (task.request,)})
    jobs = pipeline.jobs_of([spec], [target])
    (outcome,) = pipeline.run(jobs, pipeline.Settings(task.out))
    return outcome


def _measured(task: Task, outcome: Outcome) -> Measured:
    bundle, verdict = outcome.bundle, outcome.verdict
    if bundle is None or verdict is None:
        return Measured(candidate=task.candidate, failure="; ".join(verdict.failures) if verdict else outcome.error)
    manifest = bundle.manifest
    drops = [eager - verdict.scores[name] for name, eager in verdict.eager_scores.items()]
    return Measured(
        candidate=task.candidate,
        size=manifest.sizes[manifest.artifact],
        scores=verdict.scores,
        drop=max(drops, default=0.0),
        layers=manifest.layers,
        bundle=str(bundle.path),
    )


def model(make: Make, pruning: Pruning | None) -> ModelSpec:
    """Returns the model with a pruning; each is made once in a process, since it may have to be trained."""
    from deploypipe.capture import resolve
    from deploypipe.compress import recipe

    key = pickle.dumps((make, pruning))
    if key not in _models:
        # A model that was pruned lies beside the one that it was made from.
        _models[key] = recipe.applied(model(make, None), pruning) if pruning else resolve(make())
    return replace(_models[key])


_models: dict[bytes, ModelSpec] = {}
