"""Threads that run a model, each with a session of its own, so that the event loop stays free."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future
from threading import Thread
from typing import TYPE_CHECKING

import numpy as np

from .waiting import Arrays, Batching, Job, Waiting

if TYPE_CHECKING:
    from deploypipe.bundle.load import Model

    from .metrics import Metrics


class Engine:
    """Runs requests in threads.

    Args:
        models: One session for each thread, since not every runtime lets one run twice at the same time.
        metrics: Are told of every run.
        batching: None runs each request alone.
    """

    def __init__(self, models: Sequence[Model], metrics: Metrics, batching: Batching | None) -> None:
        self._metrics = metrics
        self._waiting = Waiting(batching)
        self._threads = [Thread(target=self._work, args=(model,), daemon=True) for model in models]
        for thread in self._threads:
            thread.start()

    def submit(self, inputs: Arrays) -> Future[Arrays]:
        """Queues inputs that have been checked.

        Raises:
            RefusedError: Too many wait already.
        """
        job = Job(inputs)
        self._waiting.put(job)
        return job.result

    def close(self) -> None:
        """Ends the threads when they have done what waits."""
        self._waiting.close()
        for thread in self._threads:
            thread.join()

    def _work(self, model: Model) -> None:
        while jobs := self._waiting.take():
            # Those whose client went away are left out.
            if wanted := [job for job in jobs if job.result.set_running_or_notify_cancel()]:
                self._run(model, wanted)

    def _run(self, model: Model, jobs: Sequence[Job]) -> None:
        begin = time.perf_counter()
        for job in jobs:
            self._metrics.queued.observe(begin - job.since)
        try:
            results = _split(model.run(_joined(jobs)), jobs)
        except Exception as error:
            for job in jobs:
                job.result.set_exception(error)
            return
        self._metrics.inference.observe(time.perf_counter() - begin)
        self._metrics.rows.observe(sum(job.rows for job in jobs))
        for job, result in zip(jobs, results, strict=True):
            job.result.set_result(result)


def _joined(jobs: Sequence[Job]) -> Arrays:
    first = jobs[0].inputs
    if len(jobs) == 1:
        return first
    return {name: np.concatenate([job.inputs[name] for job in jobs]) for name in first}


def _split(outputs: Arrays, jobs: Sequence[Job]) -> list[Arrays]:
    if len(jobs) == 1:
        return [outputs]
    ends = np.cumsum([job.rows for job in jobs])[:-1]
    columns = {name: np.split(array, ends) for name, array in outputs.items()}
    return [{name: parts[number] for name, parts in columns.items()} for number in range(len(jobs))]
