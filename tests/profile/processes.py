"""Processes as they were seen on real machines, made of random numbers: what a process takes, and the runs in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.signal import lfilter

Array = np.ndarray[Any, Any]

# Runs before those that are kept, until they no longer remember the first.
FORGET = 30


@dataclass(frozen=True)
class Processes:
    """How processes of one bundle differ, and the runs of each.

    Attributes:
        apart: Standard deviation of their logarithms: 1 %.
        slow: Share of those that are slow for as long as they live.
        slower: How many times as long those take.
        heavy: Whether they differ as Student's t with 3 degrees of freedom, instead of normally.
        memory: Correlation of a run with the one before.
    """

    apart: float = 0.01
    slow: float = 0.05
    slower: float = 1.6
    heavy: bool = False
    memory: float = 0.5

    def starts(self, chance: np.random.Generator, *shape: int) -> Array:
        """Returns how many times as long as usual each process takes."""
        noise = chance.standard_t(3, shape) if self.heavy else chance.standard_normal(shape)
        return np.exp(self.apart * noise + np.log(self.slower) * (chance.random(shape) < self.slow))

    def runs(self, chance: np.random.Generator, *shape: int) -> Array:
        """Returns how many times as long as usual each run of a process takes: noise, and bursts of slow ones."""
        waiting = 1 + (self._waves(chance, shape) > 2) * chance.pareto(2, shape)
        return np.exp(0.03 * self._waves(chance, shape)) * waiting

    def samples(self, chance: np.random.Generator, *shape: int) -> Array:
        """Returns nanoseconds, of which the last dimension are the runs of one process that usually takes 1 ms."""
        return (1e6 * self.starts(chance, *shape[:-1])[..., None] * self.runs(chance, *shape)).astype(int)

    def _waves(self, chance: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Returns normal numbers that remember the one before them."""
        steps = chance.standard_normal((*shape[:-1], FORGET + shape[-1]))
        return np.sqrt(1 - self.memory**2) * lfilter([1], [1, -self.memory], steps)[..., FORGET:]


QUIET = Processes(slow=0)
USUAL = Processes()
HEAVY = Processes(heavy=True)
OFTEN_SLOW = Processes(slow=0.1)
