"""Who runs the trials: processes of this machine, or the workers of a Ray cluster."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from deploypipe.errors import DeployError, nearest
from deploypipe.search.candidate import Measured
from deploypipe.search.trial import Task, run

RunAll = Callable[[Sequence[Task]], "list[Measured]"]
"""Runs several trials at the same time, and returns all results, in their order, once nothing runs any more."""


@contextlib.contextmanager
def processes(workers: int) -> Iterator[RunAll]:
    """Runs trials in processes of their own, which are kept for the next ones."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    # Frameworks hold threads and locks that a fork would copy.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_share_the_machine, initargs=(workers,))
    try:
        yield lambda tasks: list(pool.map(run, tasks))
    except BaseException:
        for process in list(pool._processes.values()):
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def ray(workers: int) -> Iterator[RunAll]:
    """Runs trials on the Ray cluster that RAY_ADDRESS names, or on one of this machine made for it.

    Bundles are written to the cache folder, which the workers of a cluster must share.

    Raises:
        DeployError: Ray is not installed.
    """
    try:
        import ray as cluster
    except ImportError:
        raise DeployError("Ray is not installed", "Run `pip install 'deploypipe[ray]'`.") from None
    settings: dict[str, Any] = {"num_cpus": workers, "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    cluster.init(log_to_driver=False, **({} if "RAY_ADDRESS" in os.environ else settings))
    try:
        remote = cluster.remote(run)
        yield lambda tasks: list(cluster.get([remote.remote(task) for task in tasks]))
    finally:
        cluster.shutdown()


def _share_the_machine(workers: int) -> None:
    import torch

    torch.set_num_threads(max(1, (os.cpu_count() or 1) // workers))


EXECUTORS = {"processes": processes, "ray": ray}


def get(name: str) -> Callable[[int], contextlib.AbstractContextManager[RunAll]]:
    """Returns an executor by its name.

    Raises:
        DeployError: There is no such executor.
    """
    if name not in EXECUTORS:
        raise DeployError(f"There is no executor '{name}'", nearest(name, list(EXECUTORS)))
    return EXECUTORS[name]
