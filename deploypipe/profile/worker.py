"""Runs and times a bundle as `dp-bench` does, for runtimes that Python alone can open: `python -m ... BUNDLE OPTIONS`.

The options and the lines are those of `dp-bench` (csrc/sdk/tools/dp_bench.cpp).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploypipe import runtimes
from deploypipe.bundle.load import Model, load
from deploypipe.bundle.manifest import GOLDEN
from deploypipe.bundle.timing import smallest
from deploypipe.errors import DeployError
from deploypipe.tensors import TensorInfo, load_cases

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

# A block of the warm-up has so many runs at least, and lasts so many nanoseconds at least.
BLOCK_RUNS, BLOCK_NS = 5, 10_000_000
# Medians of two blocks that differ by less have settled.
STEADY = 0.02
_STARTED = "DEPLOYPIPE_BENCH_STARTED_NS"


def command(bundle: Path) -> tuple[str, ...]:
    """Returns the words that start it, before the options."""
    return sys.executable, "-m", __name__, str(bundle)


def main(arguments: Sequence[str]) -> None:
    """Runs the bundle as the options say."""
    options = _parser().parse_args(arguments)
    if options.cold_start and _STARTED not in os.environ:
        os.environ[_STARTED] = str(time.monotonic_ns())
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    try:
        with _quiet() as say:
            _measure(options, say)
    except DeployError as error:
        sys.exit(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=1e6)
    parser.add_argument("--settle", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--gap-ms", type=float, default=0.0)
    parser.add_argument("--axis", action="append", type=_axis, default=[])
    parser.add_argument("--verify", action="store_true")
    parser.add_argument("--cold-start", action="store_true")
    return parser


def _axis(text: str) -> tuple[str, int]:
    name, _, size = text.partition("=")
    return name, int(size)


@contextmanager
def _quiet() -> Iterator[Callable[[dict[str, Any]], None]]:
    """Gives what writes a line; what a runtime prints on standard output goes elsewhere."""
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        yield lambda event: print(json.dumps(event), file=answers)


def _measure(options: argparse.Namespace, say: Callable[[dict[str, Any]], None]) -> None:
    begin = time.monotonic_ns()
    with load(options.bundle, threads=options.threads) as model:
        loaded = {"load_ms": (time.monotonic_ns() - begin) / 1e6, **_process()}
        say({"event": "opened", **loaded, "runtime_version": runtimes.get(model.manifest.runtime.name).version()})
        inputs = _inputs(model, dict(options.axis))
        first = _once(model, inputs)
        if options.verify:
            verdict = model.verify()
            say({"event": "verdict", **verdict.model_dump(include={"passed", "checks", "failures"})})
            if not verdict.passed:
                sys.exit(1)
        say({"event": "first", "ns": first})
        runs, settled = settle(lambda: _once(model, inputs), options.settle)
        say({"event": "settled", "runs": runs, "settled": settled})
        for sample in _samples(model, inputs, options):
            say({"event": "sample", "ns": sample})
        say({"event": "done", "peak_rss_mb": _peak_mb()})


def _process() -> dict[str, float]:
    started = os.environ.get(_STARTED)
    return {"process_ms": (time.monotonic_ns() - int(started)) / 1e6} if started else {}


def _inputs(model: Model, sizes: dict[str, int]) -> list[Array]:
    manifest = model.manifest
    case = smallest(load_cases(model.path / GOLDEN, manifest.inputs, manifest.outputs))
    return [repeated(case.inputs[info.name], info, sizes) for info in manifest.inputs]


def repeated(array: Array, info: TensorInfo, sizes: dict[str, int]) -> Array:
    """Returns an input with other sizes of its axes; what it holds is repeated."""
    import numpy as np

    for axis, name in enumerate(info.shape):
        if isinstance(name, str) and name in sizes:
            array = np.take(array, np.arange(sizes[name]) % array.shape[axis], axis)
    return np.ascontiguousarray(array)


def _once(model: Model, inputs: Sequence[Array]) -> int:
    before = time.perf_counter_ns()
    model.session.run(inputs)
    return time.perf_counter_ns() - before


def settle(once: Callable[[], int], seconds: float) -> tuple[int, bool]:
    """Runs until the medians of two blocks agree, or the time is over.

    Args:
        once: Runs once, and returns the nanoseconds of it.
        seconds: For all runs together, of their own time.

    Returns:
        The runs, and whether the medians agree.
    """
    runs, spent, before = 0, 0, 0.0
    while spent < seconds * 1e9:
        block = _block(once)
        runs, spent = runs + len(block), spent + sum(block)
        median = sorted(block)[len(block) // 2]
        if abs(median - before) <= STEADY * before:
            return runs, True
        before = median
    return runs, False


def _block(once: Callable[[], int]) -> list[int]:
    taken: list[int] = []
    spent = 0
    while len(taken) < BLOCK_RUNS or spent < BLOCK_NS:
        taken.append(once())
        spent += taken[-1]
    return taken


def _samples(model: Model, inputs: Sequence[Array], options: argparse.Namespace) -> list[int]:
    taken: list[int] = []
    end = time.monotonic() + options.seconds
    while len(taken) < options.runs and (not taken or time.monotonic() < end):
        time.sleep(options.gap_ms / 1000)
        taken.append(_once(model, inputs))
    return taken


def _peak_mb() -> float | None:
    """Most memory that this process had, 10^6 bytes; a runtime in a process of its own is not in it."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    main(sys.argv[1:])
