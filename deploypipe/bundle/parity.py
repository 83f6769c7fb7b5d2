"""Outputs of a bundle against its golden vectors: the same checks in any process, and in every language's SDK."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from deploypipe.bundle.manifest import Check, Manifest, Verdict
from deploypipe.parity import metric_for
from deploypipe.target import Limits
from deploypipe.tensors import Case

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

Run = Callable[[Sequence["Array"]], Sequence["Array"]]


def of_outputs(manifest: Manifest, cases: Sequence[Case], native: bool, run: Run) -> list[Check]:
    """Compares every output for every golden vector.

    Args:
        manifest: Of the bundle.
        cases: Its golden vectors.
        native: Its op libraries are in use, where it has some.
        run: Gives the outputs for inputs, both in the order of the manifest.
    """
    form = "with op library" if native and manifest.libraries() else "without op library"
    return [
        _compared(f"{form}, {sizes(manifest, case)}", name, output, case.outputs[name], manifest.limits)
        for case in cases
        for name, output in zip(case.outputs, run(list(case.inputs.values())), strict=True)
    ]


def judged(checks: Sequence[Check]) -> Verdict:
    """Returns the verdict of checks alone."""
    failures = tuple(check.describe() for check in checks if not check.passed)
    return Verdict(passed=not failures, checks=tuple(checks), failures=failures)


def sizes(manifest: Manifest, case: Case) -> str:
    """Names the sizes of a case: `batch=5`."""
    found = {
        wanted: size
        for info in manifest.inputs
        for wanted, size in zip(info.shape, case.inputs[info.name].shape, strict=True)
        if isinstance(wanted, str)
    }
    return ", ".join(f"{name}={size}" for name, size in found.items()) or "fixed size"


def _compared(what: str, name: str, output: Array, expected: Array, limits: Limits) -> Check:
    metric = metric_for(expected)
    limit = limits.normalized_error if expected.dtype.kind == "f" else limits.unequal_share
    same_kind = output.shape == expected.shape and output.dtype == expected.dtype
    value = metric.distance(output, expected) if same_kind else math.inf
    what = (
        what if same_kind else f"{what}, {output.dtype}{list(output.shape)}, not {expected.dtype}{list(expected.shape)}"
    )
    return Check.of(what, name, metric.name, value, limit)
