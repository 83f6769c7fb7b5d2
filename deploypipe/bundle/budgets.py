"""What a bundle costs, against the budgets of its target."""

from __future__ import annotations

from deploypipe.bundle.manifest import P90, SIZE, SLOWEST, Check, Manifest
from deploypipe.bundle.timing import Measure, Timing, measured


def of_size(manifest: Manifest) -> list[Check]:
    """Compares the size of the artifact file, without op libraries, with its budget."""
    limit = manifest.budgets.size_mb
    if limit is None:
        return []
    return [Check.of("file alone", "artifact", SIZE, manifest.sizes[manifest.artifact] / 1e6, limit)]


def of_time(manifest: Manifest, measure: Measure, sizes: str) -> list[Check]:
    """Compares the time of one inference with its budget.

    Args:
        manifest: Of the bundle.
        measure: Times runs of it; called only if there is a budget.
        sizes: Names the sizes of the inputs: `batch=1`.
    """
    limit = manifest.budgets.p90_ms
    return [] if limit is None else [_judged(measured(measure), sizes, limit)]


def _judged(timing: Timing, sizes: str, limit: float) -> Check:
    """Where runs are too few for a percentile, the slowest one must keep the budget."""
    what = f"this machine, {sizes}, {len(timing.samples_ms)} runs after {timing.warm_up} to warm up"
    if timing.p90 is None:
        return Check.of(what, "latency", SLOWEST, timing.slowest, limit)
    return Check.of(what, "latency", P90, timing.p90, limit)
