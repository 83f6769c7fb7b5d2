"""How close an output is to its reference, by a metric that suits its kind.

A float output is judged by the RMS error over the spread of the reference, so that the limit means
the same for logits of 10 and of 1e-16; an integer output by the share of equal elements.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def normalized_error(output: Array, reference: Array) -> float:
    """RMS of the difference over the standard deviation of the reference; 0 is equal.

    A constant reference is measured against its magnitude, and a zero reference absolutely.
    Non-finite values must sit at the same places, else the error is infinite.
    """
    import numpy as np

    out, ref = output.astype(np.float64), reference.astype(np.float64)
    finite = np.isfinite(ref)
    if not np.array_equal(out[~finite], ref[~finite], equal_nan=True) or not np.isfinite(out[finite]).all():
        return float("inf")
    out, ref = out[finite], ref[finite]
    if ref.size == 0:
        return 0.0
    rms = float(np.sqrt(np.mean((out - ref) ** 2)))
    scale = float(np.std(ref)) or float(np.sqrt(np.mean(ref**2))) or 1.0
    return rms / scale


def unequal_share(output: Array, reference: Array) -> float:
    """Share of the elements that differ, 0 to 1."""
    return float((output != reference).mean()) if reference.size else 0.0


@dataclass(frozen=True)
class Metric:
    """A distance between an output and its reference, and the most that fp32 arithmetic may cause.

    Attributes:
        name: As it stands in manifests.
        distance: Takes output and reference of one shape; smaller is better.
        limit: Largest distance that passes for an artifact of full precision.
    """

    name: str
    distance: Callable[[Array, Array], float]
    limit: float


NORMALIZED_ERROR = Metric("normalized_error", normalized_error, 1e-4)
UNEQUAL_SHARE = Metric("unequal_share", unequal_share, 1e-4)


def metric_for(reference: Array) -> Metric:
    """Returns the metric for an output of a model: by share for integers, by error for floats."""
    return NORMALIZED_ERROR if reference.dtype.kind == "f" else UNEQUAL_SHARE
