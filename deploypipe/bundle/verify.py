"""Verification: a packed bundle, in a process of its own, against its golden vectors and its model's score."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploypipe import runtimes
from deploypipe.bundle import budgets, integrity
from deploypipe.bundle.manifest import DROP, GOLDEN, Check, Manifest, Verdict
from deploypipe.bundle.process import Worker, WorkerError
from deploypipe.bundle.timing import smallest
from deploypipe.parity import metric_for
from deploypipe.predict import CHUNK, batch_axis, chunked, scores_of
from deploypipe.target import Limits
from deploypipe.tensors import Case, load_cases

if TYPE_CHECKING:
    import numpy as np

    from deploypipe.spec import Evaluate, Predict

    Array = np.ndarray[Any, Any]


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
) -> Finding:
    """Runs a bundle in a fresh process and judges it by the limits and budgets in its manifest.

    Args:
        bundle: A packed bundle.
        evaluate: Scores the model; None leaves the accuracy out.
        eager_scores: What the same evaluation gave in eager PyTorch.

    Raises:
        DeployError: The bundle's files are not what its manifest says.
    """
    manifest = integrity.check(bundle)
    limits = manifest.limits
    cases = load_cases(bundle / GOLDEN, manifest.inputs, manifest.outputs)
    ops = [op.name for op in manifest.ops]
    eager = dict(eager_scores or {})
    try:
        with Worker(bundle) as worker:
            checks = [check for form in _forms(manifest) for check in _parity(worker, manifest, cases, limits, form)]
            paths = worker.op_paths(list(cases[0].inputs.values()), ops) if ops else {}
            scores = _scores(worker, manifest, evaluate)
            costs = _costs(worker, manifest, cases)
    except WorkerError as error:
        return Finding(Verdict(passed=False, eager_scores=eager, failures=(str(error),)), dict.fromkeys(ops, "none"))
    checks += _drops(scores, eager, limits) + costs
    failures = [check.describe() for check in checks if not check.passed] + _wrong_paths(manifest, paths)
    verdict = Verdict(
        passed=not failures, checks=tuple(checks), scores=scores, eager_scores=eager, failures=tuple(failures)
    )
    return Finding(verdict, paths)


def _forms(manifest: Manifest) -> list[bool]:
    """Native first; an artifact that promises to run without its op library must do that as well."""
    portable = runtimes.get(manifest.runtime.name).PORTABLE
    return [True, False] if portable and manifest.libraries() else [True]


def _parity(worker: Worker, manifest: Manifest, cases: Sequence[Case], limits: Limits, native: bool) -> list[Check]:
    form = "with op library" if native and manifest.libraries() else "without op library"
    return [
        _compare(f"{form}, {_sizes(manifest, case)}", name, output, case.outputs[name], limits)
        for case in cases
        for name, output in zip(case.outputs, worker.run(list(case.inputs.values()), native), strict=True)
    ]


def _sizes(manifest: Manifest, case: Case) -> str:
    """Names the sizes of a case: `batch=5`."""
    sizes = {
        wanted: size
        for info in manifest.inputs
        for wanted, size in zip(info.shape, case.inputs[info.name].shape, strict=True)
        if isinstance(wanted, str)
    }
    return ", ".join(f"{name}={size}" for name, size in sizes.items()) or "fixed size"


def _compare(what: str, name: str, output: Array, expected: Array, limits: Limits) -> Check:
    metric = metric_for(expected)
    limit = limits.normalized_error if expected.dtype.kind == "f" else limits.unequal_share
    same_kind = output.shape == expected.shape and output.dtype == expected.dtype
    value = metric.distance(output, expected) if same_kind else math.inf
    what = (
        what if same_kind else f"{what}, {output.dtype}{list(output.shape)}, not {expected.dtype}{list(expected.shape)}"
    )
    return Check.of(what, name, metric.name, value, limit)


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
    return budgets.of_size(manifest) + budgets.of_time(manifest, measure, _sizes(manifest, case))


def _wrong_paths(manifest: Manifest, paths: Mapping[str, str]) -> list[str]:
    """An op whose library is in the bundle must run in it, and one that was to be decomposed must not."""
    wrong = []
    for op in manifest.ops:
        if op.library and paths[op.name] != "native":
            wrong.append(f"{op.name} ran {paths[op.name]} although {op.library} provides it")
        if not op.library and paths[op.name] == "native":
            wrong.append(f"{op.name} needs a kernel that is not in the bundle")
    return wrong
