"""Runs the cases one after the other: outputs are compared, then everything of a case is timed in the same rounds."""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.kernels import cws_cases, lltm_cases, machine, report, table, tax_cases, timing
from benchmarks.kernels.bounds import Probes
from benchmarks.kernels.case import Case
from benchmarks.kernels.own import Own
from benchmarks.kernels.report import Row, Samples
from deploypipe.errors import DeployError, VerdictError, nearest

Maker = Callable[[Own], Case]

CASES: Mapping[str, Maker] = {
    "cws-batch": cws_cases.dense,
    "cws-row": functools.partial(cws_cases.dense, batch=1),
    "cws-sparse": cws_cases.sparse,
    "lltm-128-1": functools.partial(lltm_cases.forward, hidden=128, batch=1),
    "lltm-128-32": functools.partial(lltm_cases.forward, hidden=128, batch=32),
    "lltm-512-1": functools.partial(lltm_cases.forward, hidden=512, batch=1),
    "lltm-512-32": functools.partial(lltm_cases.forward, hidden=512, batch=32),
    "lltm-training": lltm_cases.training,
    "tax-cws": tax_cases.cws,
    "tax-cws-392": functools.partial(tax_cases.cws, features=392),  # of which the nearest caches hold all
    "tax-lltm": functools.partial(tax_cases.lltm, int8=False),
    "tax-int8": functools.partial(tax_cases.lltm, int8=True),
}
# The same at sizes that take no time, for tests.
QUICK: Mapping[str, Maker] = {
    "cws-batch": functools.partial(cws_cases.dense, batch=3, features=40, hashes=32),
    "cws-row": functools.partial(cws_cases.dense, batch=1, features=40, hashes=32),
    "cws-sparse": functools.partial(cws_cases.sparse, batch=4, features=300, hashes=32, nonzeros=7),
    "lltm-128-1": functools.partial(lltm_cases.forward, hidden=24, batch=1),
    "lltm-128-32": functools.partial(lltm_cases.forward, hidden=24, batch=3),
    "lltm-512-1": functools.partial(lltm_cases.forward, hidden=40, batch=1),
    "lltm-512-32": functools.partial(lltm_cases.forward, hidden=40, batch=3),
    "lltm-training": functools.partial(lltm_cases.training, hidden=24, batch=3),
    "tax-cws": functools.partial(tax_cases.cws, features=40, hashes=32),
    "tax-cws-392": functools.partial(tax_cases.cws, features=30, hashes=32),
    "tax-lltm": functools.partial(tax_cases.lltm, int8=False, hidden=24),
    "tax-int8": functools.partial(tax_cases.lltm, int8=True, hidden=24),
}


@dataclass(frozen=True)
class Result:
    """What came out of a case.

    Attributes:
        name: Of the case.
        rows: Its lines of the table.
        samples: Times by lane, microseconds per run of the work.
        notes: What a reader should know.
        load: The load average when it had been timed.
        error: Why nothing was timed, or an empty text.
    """

    name: str
    rows: list[Row]
    samples: Samples
    notes: list[str]
    load: float
    error: str = ""


def names(only: Sequence[str]) -> list[str]:
    """Returns the names of the cases that begin with one of those given; all if none is given.

    Raises:
        DeployError: Nothing begins with one of them.
    """
    for start in only:
        if not any(name.startswith(start) for name in CASES):
            raise DeployError(f"There is no case '{start}'", nearest(start, list(CASES)))
    return [name for name in CASES if not only or name.startswith(tuple(only))]


def one_thread() -> None:
    """Keeps torch to one thread; the others are told when their sessions are made."""
    import torch

    torch.set_num_threads(1)


def measure(name: str, own: Own, rounds: int, quick: bool = False) -> Result:
    """Makes a case, compares its outputs, and times it."""
    case = (QUICK if quick else CASES)[name](own)
    probes = Probes(own.isas[0])
    needs = tuple(need for line in case.comparisons for need in line.needs)
    lanes = [*case.lanes, *probes.lanes(needs)]
    try:
        timing.check([*case.oracles, *case.lanes])
    except VerdictError as error:
        return Result(name, [], {}, list(case.notes), machine.load_average(), str(error))
    samples = timing.interleave(lanes, rounds)
    made = report.rows(case, samples, own.isas, probes)
    result = Result(name, made, samples, list(case.notes), machine.load_average())
    del case, lanes, probes
    gc.collect()
    return result


def numbers(results: Sequence[Result], rounds: int) -> dict[str, object]:
    """Returns everything as plain values."""
    cases = {
        result.name: {
            "rows": [table.numbers(row) for row in result.rows],
            "notes": result.notes,
            "load_average": result.load,
            "error": result.error,
            "samples_us": table.raw(result.samples),
        }
        for result in results
    }
    return {"machine": machine.describe(), "rounds": rounds, "cases": cases}
