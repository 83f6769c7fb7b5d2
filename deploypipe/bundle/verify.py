"""Verification: a packed bundle, in a process of its own, against its golden vectors and its model's score."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deploypipe import runtimes
from deploypipe.bundle import archive, budgets, parity, signing
from deploypipe.bundle.manifest import DROP, GOLDEN, Check, Manifest, Verdict
from deploypipe.bundle.process import Worker, WorkerError
from deploypipe.bundle.timing import smallest
from deploypipe.predict import CHUNK, batch_axis, chunked, scores_of
from deploypipe.target import Limits
from deploypipe.tensors import Case, load_cases

if TYPE_CHECKING:
    from deploypipe.spec import Evaluate, Predict


@dataclass(frozen=True)
class Finding:
    """What verification found.

    Attributes:
        verdict: Passed or not, with every check.
        paths: Custom op to what executes it.
    """

    verdict: Verdict
    paths: Mapping[str, str]


def verify(
    bundle: Path,
    evaluate: Evaluate | None = None,
    eager_scores: Mapping[str, float] | None = None,
    key: Path | None = None,
) -> Finding:
    """Runs a bundle in a fresh process and judges it by the limits and budgets in its manifest.

    Args:
        bundle: A packed bundle: its folder, or a zip of it.
        evaluate: Scores the model; None leaves the accuracy out.
        eager_scores: What the same evaluation gave in eager PyTorch.
        key: The public key of who must have signed it; None asks for no signature.

    Raises:
        DeployError: The bundle's files are not what its manifest says, or its signature is not of that key.
    """
    with archive.opened(bundle) as (folder, manifest):
        if key:
            signing.check(folder, key)
        try:
            return _found(folder, manifest, evaluate, dict(eager_scores or {}))
        except WorkerError as error:
            said = str(error).replace(str(folder), str(bundle))  # that of a zip is gone when this is read
            return _not_run(manifest, dict(eager_scores or {}), said)


def _found(folder: Path, manifest: Manifest, evaluate: Evaluate | None, eager: dict[str, float]) -> Finding:
    cases = load_cases(folder / GOLDEN, manifest.inputs, manifest.outputs)
    ops = [op.name for op in manifest.ops]
    with Worker(folder) as worker:
        checks = [check for form in _forms(manifest) for check in _parity(worker, manifest, cases, form)]
        paths = worker.op_paths(list(cases[0].inputs.values()), ops) if ops else {}
        scores = _scores(worker, manifest, evaluate)
        costs = _costs(worker, manifest, cases)
    checks += _drops(scores, eager, manifest.limits) + costs
    failures = [check.describe() for check in checks if not check.passed] + _wrong_paths(manifest, paths)
    verdict = Verdict(
        passed=not failures, checks=tuple(checks), scores=scores, eager_scores=eager, failures=tuple(failures)
    )
    return Finding(verdict, paths)


def _not_run(manifest: Manifest, eager: dict[str, float], said: str) -> Finding:
    verdict = Verdict(passed=False, eager_scores=eager, failures=(said,))
    return Finding(verdict, dict.fromkeys((op.name for op in manifest.ops), "none"))


def _forms(manifest: Manifest) -> list[bool]:
    """Native first; an artifact that promises to run without its op library must do that as well."""
    portable = runtimes.get(manifest.runtime.name).PORTABLE
    return [True, False] if portable and manifest.libraries() else [True]


def _parity(worker: Worker, manifest: Manifest, cases: Sequence[Case], native: bool) -> list[Check]:
    return parity.of_outputs(manifest, cases, native, functools.partial(worker.run, native=native))


def _scores(worker: Worker, manifest: Manifest, evaluate: Evaluate | None) -> dict[str, float]:
    return scores_of(evaluate, _predict(worker, manifest)) if evaluate else {}


def _predict(worker: Worker, manifest: Manifest) -> Predict:
    axis = batch_axis(manifest.inputs, manifest.outputs)
    return chunked(lambda *arrays: worker.run(arrays), min(manifest.axes[axis].max, CHUNK) if axis else None)


def _drops(scores: Mapping[str, float], eager: Mapping[str, float], limits: Limits) -> list[Check]:
    return [
        Check.of("test set", name, DROP, eager[name] - score, limits.accuracy_drop)
        for name, score in scores.items()
        if name in eager
    ]


def _costs(worker: Worker, manifest: Manifest, cases: Sequence[Case]) -> list[Check]:
    case = smallest(cases)
    measure = functools.partial(worker.time, list(case.inputs.values()))
    return budgets.of_size(manifest) + budgets.of_time(manifest, measure, parity.sizes(manifest, case))


def _wrong_paths(manifest: Manifest, paths: Mapping[str, str]) -> list[str]:
    """An op whose library is in the bundle must run in it, and one that was to be decomposed must not."""
    wrong = []
    for op in manifest.ops:
        if op.library and paths[op.name] != "native":
            wrong.append(f"{op.name} ran {paths[op.name]} although {op.library} provides it")
        if not op.library and paths[op.name] == "native":
            wrong.append(f"{op.name} needs a kernel that is not in the bundle")
    return wrong
