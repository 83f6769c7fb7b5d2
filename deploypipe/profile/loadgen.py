"""MLPerf's LoadGen: it asks, a model in this process answers, and its log says how that went."""

from __future__ import annotations

import json
import queue
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from deploypipe.errors import DeployError, first_line

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

Name = Literal["SingleStream", "Offline", "Server"]

# The log's keys of the results, what they are divided by, and their units then.
_RESULTS: Mapping[Name, tuple[str, float, str]] = {
    "SingleStream": ("result_90.00_percentile_latency_ns", 1e6, "ms"),
    "Offline": ("result_samples_per_second", 1.0, "samples/s"),
    "Server": ("result_scheduled_samples_per_sec", 1.0, "queries/s"),
}
# LoadGen gives no estimate of a percentile from fewer.
FEWEST_QUERIES = 64


@dataclass(frozen=True)
class Asked:
    """What LoadGen is told.

    Attributes:
        scenario: The scenario.
        seconds: That it lasts at least.
        median_ns: That one sample is expected to take alone.
        per_second: Samples that are expected to be answered in a second; in the Server scenario, that are sent.
        bound_ns: Within which 99 of 100 queries must be answered in the Server scenario.
        queries: That are asked at least.
    """

    scenario: Name
    seconds: float
    median_ns: float
    per_second: float
    bound_ns: float
    queries: int = FEWEST_QUERIES


@dataclass(frozen=True)
class Found:
    """What came of it.

    Attributes:
        valid: What LoadGen judges.
        result: Its result.
        unit: Of the result.
        late: Share of the queries that were answered after the bound of the Server scenario.
        seconds: That it took.
        latencies_ns: Of each sample in the order of the answers, from its arrival.
    """

    valid: bool
    result: float
    unit: str
    late: float
    seconds: float
    latencies_ns: tuple[int, ...]


@dataclass
class System:
    """A model that answers queries in the order of their arrival; those that wait are answered together.

    Attributes:
        samples: Inputs of the model, each of one sample.
        run: Runs the model on a batch of them.
        largest: So many samples make a batch, at most.
        latencies_ns: Of each sample that was answered, from its arrival.
        failures: What went wrong instead: LoadGen would wait for an answer for ever.
    """

    samples: Sequence[Sequence[Array]]
    run: Callable[[Sequence[Array]], object]
    largest: int
    latencies_ns: list[int] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    _waiting: queue.SimpleQueue[tuple[int, Any]] = field(default_factory=queue.SimpleQueue)
    _arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def take(self, queries: Sequence[Any]) -> None:
        """Lets queries wait."""
        now = time.perf_counter_ns()
        for query in queries:
            self._waiting.put((now, query))
        self._arrived.release()

    def answer(self) -> None:
        """Answers all queries that wait."""
        while batch := self._batch():
            try:
                self.run(self._stacked([query.index for _, query in batch]))
            except Exception as error:
                self.failures.append(error)
            _complete([query.id for _, query in batch])
            now = time.perf_counter_ns()
            self.latencies_ns += [now - arrived for arrived, _ in batch]

    def take_and_answer(self, queries: Sequence[Any]) -> None:
        """Answers queries at once, which LoadGen waits for."""
        self.take(queries)
        self.answer()

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Answers queries as they come, in a thread, so that LoadGen does not wait."""
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                self._arrived.acquire()
                self.answer()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            self._arrived.release()
            thread.join()

    def _batch(self) -> list[tuple[int, Any]]:
        return [self._waiting.get() for _ in range(min(self.largest, self._waiting.qsize()))]

    def _stacked(self, indices: Sequence[int]) -> Sequence[Array]:
        import numpy as np

        if len(indices) == 1:
            return self.samples[indices[0]]
        return [np.concatenate(each) for each in zip(*(self.samples[index] for index in indices), strict=True)]


def check_installed() -> None:
    """Raises a DeployError where LoadGen is not installed."""
    if find_spec("mlperf_loadgen") is None:
        raise DeployError("MLPerf's LoadGen is not installed", "Run `pip install deploypipe[profile]`.")


def ask(system: System, asked: Asked) -> Found:
    """Runs a scenario.

    Raises:
        DeployError: The model failed in the middle of it.
    """
    system.latencies_ns.clear()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        if asked.scenario == "Server":
            with system.serving():
                _test(system.take, len(system.samples), asked, Path(folder))
        else:
            _test(system.take_and_answer, len(system.samples), asked, Path(folder))
        log = _log(Path(folder) / "mlperf_log_detail.txt")
    if system.failures:
        raise DeployError(f"The model failed in {asked.scenario}: {first_line(system.failures[0])}", "Verify it.")
    key, divisor, unit = _RESULTS[asked.scenario]
    return Found(
        valid=log["result_validity"] == "VALID",
        result=log[key] / divisor,
        unit=unit,
        late=log.get("result_overlatency_query_count", 0) / log["result_query_count"],
        seconds=time.perf_counter() - began,
        latencies_ns=tuple(system.latencies_ns),
    )


def _test(issue: Callable[[Sequence[Any]], None], samples: int, asked: Asked, folder: Path) -> None:
    """Lets LoadGen ask until it is through; its logs go to a folder."""
    import mlperf_loadgen as loadgen

    def nothing(*_: Any) -> None:
        """All samples are in memory, and no query is held back."""

    system = loadgen.ConstructSUT(issue, nothing)
    library = loadgen.ConstructQSL(samples, samples, nothing, nothing)
    try:
        audit = str(folder / "audit.config")  # there is none
        loadgen.StartTestWithLogSettings(system, library, _settings(asked), _logging(folder), audit)
    finally:
        loadgen.DestroyQSL(library)
        loadgen.DestroySUT(system)


def _settings(asked: Asked) -> Any:
    import mlperf_loadgen as loadgen

    settings = loadgen.TestSettings()
    settings.scenario = getattr(loadgen.TestScenario, asked.scenario)
    settings.mode = loadgen.TestMode.PerformanceOnly
    settings.min_duration_ms = round(asked.seconds * 1e3)
    settings.min_query_count = asked.queries
    settings.single_stream_expected_latency_ns = round(asked.median_ns)
    settings.offline_expected_qps = settings.server_target_qps = asked.per_second
    settings.server_target_latency_ns = round(asked.bound_ns)
    settings.server_target_latency_percentile = 0.99
    return settings


def _logging(folder: Path) -> Any:
    import mlperf_loadgen as loadgen

    output = loadgen.LogOutputSettings()
    output.outdir, output.copy_summary_to_stdout = str(folder), False
    settings = loadgen.LogSettings()
    settings.log_output, settings.enable_trace = output, False
    return settings


def _log(path: Path) -> dict[str, Any]:
    lines = (line.partition(":::MLLOG ")[2] for line in path.read_text().splitlines())
    noted = [json.loads(line) for line in lines if line]
    return {each["key"]: each["value"] for each in noted}


def _complete(queries: Sequence[int]) -> None:
    """Tells LoadGen that queries are answered; it does not look at the outputs."""
    import mlperf_loadgen as loadgen

    loadgen.QuerySamplesComplete([loadgen.QuerySampleResponse(query, 0, 0) for query in queries])
