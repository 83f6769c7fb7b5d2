"""Which requests run as one."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from server.waiting import Job, Waiting


def job(rows: int, columns: int = 4) -> Job:
    from server.waiting import Job

    return Job({"x": np.zeros((rows, columns), np.float32)})


def queue(rows: int | None, *jobs: Job, delay: float = 0.0) -> Waiting:
    from server.waiting import Batching, Waiting

    waiting = Waiting(None if rows is None else Batching(rows, delay))
    for each in jobs:
        waiting.put(each)
    return waiting


def test_each_runs_alone_by_default() -> None:
    first, second = job(1), job(1)
    waiting = queue(None, first, second)
    assert (waiting.take(), waiting.take()) == ([first], [second])


def test_those_that_wait_run_as_one_up_to_the_most_rows() -> None:
    jobs = [job(2), job(1), job(2), job(1)]
    waiting = queue(4, *jobs)
    assert (waiting.take(), waiting.take()) == (jobs[:2], jobs[2:])


def test_one_that_does_not_fit_is_not_overtaken() -> None:
    jobs = [job(1), job(1, columns=5), job(1)]
    waiting = queue(8, *jobs)
    assert [waiting.take() for _ in jobs] == [[each] for each in jobs]


def test_the_first_waits_for_others() -> None:
    jobs = [job(1), job(1)]
    waiting = queue(2, jobs[0], delay=60)
    threading.Timer(0.05, waiting.put, [jobs[1]]).start()
    assert waiting.take() == jobs


def test_a_closed_queue_hands_out_what_waits_and_ends() -> None:
    jobs = [job(1), job(1)]
    waiting = queue(8, *jobs, delay=60)
    waiting.close()
    assert (waiting.take(), list(waiting.take())) == (jobs, [])


def test_a_full_queue_refuses() -> None:
    from server.errors import RefusedError
    from server.waiting import MAX_WAITING

    waiting = queue(None, *(job(1) for _ in range(MAX_WAITING)))
    with pytest.raises(RefusedError, match="wait already") as caught:
        waiting.put(job(1))
    assert caught.value.status == 503
