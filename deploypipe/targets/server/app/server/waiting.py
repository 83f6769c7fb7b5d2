"""Requests that wait for the model, and which of them run as one."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Condition
from typing import Any

import numpy as np

from .errors import RefusedError

Array = np.ndarray[Any, Any]
Arrays = Mapping[str, Array]

# Requests that may wait; each holds its tensors in memory.
MAX_WAITING = 256


@dataclass(frozen=True)
class Batching:
    """Which requests run as one.

    Attributes:
        rows: The most rows of a run.
        delay: Seconds that the first one waits for others; 0 takes those that wait already.
    """

    rows: int
    delay: float


@dataclass(frozen=True)
class Job:
    """A request that waits for the model."""

    inputs: Arrays
    result: Future[Arrays] = field(default_factory=Future)
    since: float = field(default_factory=time.perf_counter)

    @property
    def rows(self) -> int:
        """Size of the first axis."""
        shape = next(iter(self.inputs.values())).shape
        return shape[0] if shape else 1

    def goes_with(self, other: Job) -> bool:
        """All sizes but those of the first axis are the same."""
        return all(array.shape[1:] == other.inputs[name].shape[1:] for name, array in self.inputs.items())


class Waiting:
    """A queue that hands out what can run as one.

    Args:
        batching: None hands out each request alone.
    """

    def __init__(self, batching: Batching | None) -> None:
        self._batching = batching
        self._jobs: deque[Job] = deque()
        self._closed = False
        self._changed = Condition()

    def put(self, job: Job) -> None:
        """Adds a request.

        Raises:
            RefusedError: Too many wait already.
        """
        with self._changed:
            if len(self._jobs) >= MAX_WAITING:
                raise RefusedError(503, f"{MAX_WAITING} requests wait already", "Try again later.")
            self._jobs.append(job)
            self._changed.notify()

    def take(self) -> Sequence[Job]:
        """Waits for requests; none are returned when the queue is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._closed)
            if not self._jobs:
                return []
            jobs = [self._jobs.popleft()]
            if self._batching:
                self._gather(jobs, self._batching)
            return jobs

    def close(self) -> None:
        """Lets `take` end when nothing waits any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _gather(self, jobs: list[Job], batching: Batching) -> None:
        """Adds those next in line, as far as they fit and come in time; nobody is overtaken."""
        end = time.monotonic() + batching.delay
        rows = jobs[0].rows
        while True:
            while self._jobs and rows + self._jobs[0].rows <= batching.rows and jobs[0].goes_with(self._jobs[0]):
                rows += self._jobs[0].rows
                jobs.append(self._jobs.popleft())
            left = end - time.monotonic()
            if self._jobs or self._closed or rows >= batching.rows or left <= 0:
                return
            self._changed.wait(left)
