"""What a profile found: raw samples and what they were taken of, as `report.json` holds them.

A receipt is one bundle on one device. Everything that is printed is computed from the samples that it holds, so that
whoever doubts a number can compute it again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from deploypipe.bundle.manifest import Check, Verdict
from deploypipe.devices.facts import DeviceFacts
from deploypipe.errors import DeployError
from deploypipe.target import Budgets

SCHEMA: Literal[1] = 1
FILE = "report.json"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BundleFacts(_Strict):
    """What a bundle says of itself.

    Attributes:
        name: Unique in a report: the last three parts of its path, `lltm/laptop/onnxruntime-fp32`.
        model: Its model.
        target: Its target.
        runtime: A name of `deploypipe runtimes`.
        runtime_version: That it was built with.
        precision: `fp32`, `int8-dynamic`...
        form: How its custom ops run: `native`, `inlined`, `decomposed`, or an empty string where there are none.
        bundle_bytes: Of all its files.
        artifact_bytes: Of its artifact.
        scores: On the test set, when it was built.
        eager_scores: Of the model in PyTorch.
        parity: The worst comparison with the golden vectors when it was built; None where there was none.
        budgets: Of its target.
        digest: SHA-256 of its manifest: the same bundle has the same one.
    """

    name: str
    model: str
    target: str
    runtime: str
    runtime_version: str
    precision: str
    form: str
    bundle_bytes: int
    artifact_bytes: int
    scores: dict[str, float] = {}
    eager_scores: dict[str, float] = {}
    parity: Check | None = None
    budgets: Budgets = Budgets()
    digest: str = ""


class Start(_Strict):
    """One process that loaded the bundle and ran it.

    Attributes:
        round: In which every bundle of the comparison was started once, in another order each time.
        process_ms: From the start of the process to the bundle being open; None where that is not known.
        load_ms: Opening the bundle, with the check of its digests.
        first_ns: The first inference.
        warm_up: Runs after it that are not among the samples.
        settled: Whether the medians had settled when the samples began.
        samples_ns: Nanoseconds of each run.
        peak_mb: Most memory of the process, 10^6 bytes.
        runtime_version: Of what ran it there; an empty string where the runtime does not tell.
    """

    round: int
    process_ms: float | None = None
    load_ms: float
    first_ns: int
    warm_up: int
    settled: bool
    samples_ns: tuple[int, ...]
    peak_mb: float | None = None
    runtime_version: str = ""


class Point(_Strict):
    """A series at another setting, from one process.

    Attributes:
        kind: `threads`, `batch` or `gap_ms` (milliseconds of rest between runs, as in an app that waits for a frame).
        value: Of the setting.
        samples_ns: Nanoseconds of each run, of the whole batch.
    """

    kind: Literal["threads", "batch", "gap_ms"]
    value: float
    samples_ns: tuple[int, ...]


class Window(_Strict):
    """A second of a sustained run: when it began, how many runs it held, and their median."""

    at_s: float
    runs: int
    median_ns: int


class Sustained(_Strict):
    """A run without rest for minutes, in windows of a second; phones slow down when they get warm."""

    seconds: float
    windows: tuple[Window, ...]


class Instructions(_Strict):
    """Instructions that an emulated processor executed; no latency.

    Attributes:
        emulator: `qemu 7.2.22`.
        cpu: `cortex-a76`.
        load: To load the bundle and to run it the first time.
        per_inference: Of each run after the first, one thread.
    """

    emulator: str
    cpu: str
    load: int | None = None
    per_inference: tuple[int, ...]


class Operator(_Strict):
    """An operator of the artifact, or a part that a delegate runs as a whole.

    Attributes:
        name: As the runtime calls it.
        kind: `custom` (an op of a library), `delegate` (inside a delegate or a compiled kernel), or `builtin`.
        calls: In one inference.
        ms: Its own time in one inference, milliseconds; the median over the profiled runs.
    """

    name: str
    kind: Literal["custom", "delegate", "builtin"]
    calls: float
    ms: float


class Operators(_Strict):
    """Where the time of an inference goes.

    Attributes:
        how: What took the times: `ONNX Runtime profiling`.
        runs: That were profiled.
        total_ms: Of one profiled inference, median; what is not inside operators is the runtime's own.
        operators: The slowest first.
        kernel_ms: The custom ops of one inference called without the runtime; None where that is not known.
        trace: The Chrome trace, for Perfetto, as a path from the report.
        note: What the numbers do not show.
    """

    how: str
    runs: int
    total_ms: float
    operators: tuple[Operator, ...]
    kernel_ms: float | None = None
    trace: str = ""
    note: str = ""


class Scenario(_Strict):
    """A scenario of MLPerf LoadGen.

    Attributes:
        name: `SingleStream`, `Offline` or `Server`.
        valid: What LoadGen judges.
        seconds: That it ran; a submission would run for 600.
        queries: That were answered.
        result: Of LoadGen: 90th percentile in ms for SingleStream, samples per second for Offline, queries per second
            that were sent for Server.
        unit: Of `result`.
        latencies_ns: Of each query, in the order of the queries.
        note: What a reader must know, such as the bound of the latency in the Server scenario.
    """

    name: Literal["SingleStream", "Offline", "Server"]
    valid: bool
    seconds: float
    queries: int
    result: float
    unit: str
    latencies_ns: tuple[int, ...] = ()
    note: str = ""


class Receipt(_Strict):
    """One bundle on one device.

    Attributes:
        bundle: What was measured.
        status: `measured`; `declined`: this device cannot run it; `failed`: it does not work there; `lost`: the device
            went away before it was through, and what there is came before that.
        reason: Why it is not `measured`: a sentence and its cure.
        verdict: Of the golden vectors, on the device.
        starts: One for each round.
        twin: The same bundle once more, as if it were another one: what differs between the two is noise.
        points: Other numbers of threads, batches, and rests between runs.
        sustained: None where it was not asked for.
        instructions: Of an emulated device, which has no latencies.
        operators: Where the time goes.
        scenarios: Of MLPerf LoadGen.
        notes: What was left out, and why: sentences.
    """

    bundle: BundleFacts
    status: Literal["measured", "declined", "failed", "lost"]
    reason: str = ""
    verdict: Verdict | None = None
    starts: tuple[Start, ...] = ()
    twin: tuple[Start, ...] = ()
    points: tuple[Point, ...] = ()
    sustained: Sustained | None = None
    instructions: Instructions | None = None
    operators: Operators | None = None
    scenarios: tuple[Scenario, ...] = ()
    notes: tuple[str, ...] = ()


class DeviceReceipts(_Strict):
    """All bundles on one device.

    Attributes:
        name: As in devices.toml.
        transport: `local`, `ssh` or `adb`.
        emulates: The processor that an emulator plays, or an empty string: then its times are no latencies.
        facts: None where the device did not answer.
        after: Load, battery and temperature when the profile ended; None where it was lost.
        lost: Why the device went away, or an empty string.
        seconds: That its profile took.
        receipts: One for each bundle.
    """

    name: str
    transport: str
    emulates: str = ""
    facts: DeviceFacts | None = None
    after: DeviceFacts | None = None
    lost: str = ""
    seconds: float = 0.0
    receipts: tuple[Receipt, ...] = ()


class Protocol(_Strict):
    """How it was measured; two reports are comparable where this is equal.

    Attributes:
        rounds: Starts of each bundle.
        runs: Samples of a start, at most.
        seconds: Of the samples of a start, at most.
        threads: Of one run.
        sustained_s: Seconds of the sustained run; 0 for none.
    """

    rounds: int = 10
    runs: int = 500
    seconds: float = 0.5
    threads: int = 1
    sustained_s: float = 0.0


class Report(_Strict):
    """What `deploypipe profile` found.

    Attributes:
        schema_version: Of this file.
        deploypipe: Version that wrote it.
        created: When the profile began, UTC, ISO 8601.
        protocol: How it was measured.
        devices: In the order in which they were asked for.
    """

    schema_version: Literal[1] = SCHEMA
    deploypipe: str
    created: str
    protocol: Protocol
    devices: tuple[DeviceReceipts, ...]

    def write(self, folder: Path) -> Path:
        """Writes `report.json`, whole or not at all."""
        path = folder / FILE
        half = folder / f".{FILE}"
        half.write_text(self.model_dump_json() + "\n")
        half.replace(path)
        return path


def read(path: Path) -> Report:
    """Reads a report.

    Raises:
        DeployError: The file is missing, is no report, or is of a newer version.
    """
    file = path / FILE if path.is_dir() else path
    try:
        found: Any = json.loads(file.read_text())
    except OSError:
        raise DeployError(f"There is no report {file}", "Name a report.json of `deploypipe profile`.") from None
    except ValueError:
        raise DeployError(f"{file} is no JSON", "Name a report.json of `deploypipe profile`.") from None
    version = found.get("schema_version") if isinstance(found, dict) else None
    if isinstance(version, int) and version > SCHEMA:
        raise DeployError(f"{file} has version {version}; this release reads {SCHEMA}", "Install a newer deploypipe.")
    try:
        return Report.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise DeployError(
            f"{file} is no report: {place}: {first['msg']}", "Name a report.json of `deploypipe profile`."
        ) from None
