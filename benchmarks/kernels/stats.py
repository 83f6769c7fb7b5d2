"""Medians, ratios and their uncertainty.

Everything that is compared is timed in the same rounds. A neighbour that slows the machine down slows a whole round,
so a ratio is taken within each round, and the median of these is the result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]

_RESAMPLES = 2000


@dataclass(frozen=True)
class Estimate:
    """A median and its 95 % bootstrap confidence interval."""

    value: float
    low: float
    high: float


def median(samples: Array) -> float:
    """Returns the median of the samples that are there; a lane may have sat out a round (NaN)."""
    present = samples[~np.isnan(samples)]
    return float(np.median(present)) if present.size else float("nan")


def fastest(lanes: Sequence[str], samples: dict[str, Array]) -> str:
    """Returns the lane with the lowest median."""
    return min(lanes, key=lambda lane: median(samples[lane]))


def estimate(figure: Callable[..., Array], *samples: Array) -> Estimate:
    """Returns the median over the rounds of a figure, with the interval from resampled rounds.

    Args:
        figure: Takes one array of samples per lane and returns the figure of each round.
        samples: Of lanes that were timed in the same rounds; a round in which one is missing does not count.
    """
    values = figure(*samples)
    values = values[~np.isnan(values)]
    if not values.size:
        return Estimate(float("nan"), float("nan"), float("nan"))
    draw = np.random.default_rng(0).integers(0, values.size, (_RESAMPLES, values.size))
    low, high = np.percentile(np.median(values[draw], axis=1), [2.5, 97.5])
    return Estimate(float(np.median(values)), float(low), float(high))
