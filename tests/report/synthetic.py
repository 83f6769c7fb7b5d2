"""A report as a profile of three devices gives it, made of a model of their noise: nothing in it was measured.

One device is this machine, one a small board that goes away before it is through, one is emulated. Everything that a
receipt can hold is there once at least.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deploypipe.bundle.manifest import Check, Verdict
from deploypipe.devices.facts import DeviceFacts
from deploypipe.profile.receipt import (
    BundleFacts,
    DeviceReceipts,
    Instructions,
    Operator,
    Operators,
    Point,
    Protocol,
    Receipt,
    Report,
    Scenario,
    Start,
    Sustained,
    Window,
)
from deploypipe.target import Budgets

if TYPE_CHECKING:
    import numpy as np

ROUNDS = 10
NO_BUDGETS = Budgets()
LOST = (
    "pi5 went away: connect to host pi5 port 22: No route to host. Look whether it is on, then run the profile again."
)


@dataclass(frozen=True)
class Kind:
    """A bundle of the synthetic report.

    Attributes:
        name: As in `BundleFacts`.
        precision: Of its weights.
        form: How its custom ops run.
        us: Of one inference on this machine, microseconds.
        kb: Of its artifact, units of 1000 bytes.
        accuracy: On the test set, percent.
        runs: Samples of a start.
        budgets: Of its target.
    """

    name: str
    precision: str
    form: str
    us: float
    kb: float
    accuracy: float
    runs: int = 150
    budgets: Budgets = NO_BUDGETS

    @property
    def runtime(self) -> str:
        return self.name.split("/")[2].split("-")[0]


SERVER, PHONE = Budgets(p90_ms=0.25), Budgets(size_mb=0.5)
KINDS = (
    Kind("lltm/server/aotinductor-fp32", "fp32", "native", 51, 712, 98.67, budgets=SERVER),
    Kind("lltm/server/onnxruntime-fp32", "fp32", "native", 29.2, 403, 98.67, budgets=SERVER),
    Kind("lltm/laptop/onnxruntime-int8-dynamic", "int8-dynamic", "native", 29.4, 112, 98.39),
    Kind("lltm/mobile/litert-fp32-native", "fp32", "native", 31, 398, 98.67, budgets=PHONE),
    Kind("lltm/mobile/executorch-fp32-decomposed", "fp32", "decomposed", 186, 421, 98.67, budgets=PHONE),
    Kind("gcwsnet/server/torchscript-fp32", "fp32", "native", 243, 1190, 95.83, runs=40, budgets=SERVER),
    Kind("gcwsnet/server/onnxruntime-fp32", "fp32", "inlined", 411, 1164, 95.83, runs=5, budgets=SERVER),
    Kind("gcwsnet/mobile/litert-fp32-native", "fp32", "native", 117, 1150, 95.83, budgets=PHONE),
    Kind("gcwsnet/laptop/onnxruntime-int8-qdq", "int8-qdq", "native", 120, 336, 95.28),
    Kind("mlp/server/onnxruntime-fp32", "fp32", "", 34, 1242, 97.22, budgets=SERVER),
    Kind("mlp/server/aotinductor-fp32", "fp32", "", 27, 1310, 97.22, budgets=SERVER),
    Kind("mlp/mobile/litert-int8-dynamic", "int8-dynamic", "", 16.5, 321, 97.22, budgets=PHONE),
)
# One bundle of each model runs as two.
TWINS = {"lltm/server/onnxruntime-fp32", "gcwsnet/mobile/litert-fp32-native", "mlp/mobile/litert-int8-dynamic"}
VERSIONS = {
    "onnxruntime": "1.32.0",
    "aotinductor": "2.13.0",
    "torchscript": "2.13.0",
    "litert": "2.3.0",
    "executorch": "1.4.1",
}
# Seconds to start and open a bundle, and its memory in MB, as docs/sdk.md has them.
LOADS = {
    "onnxruntime": (0.043, 34),
    "aotinductor": (0.334, 117),
    "torchscript": (0.339, 125),
    "litert": (0.012, 11),
    "executorch": (0.060, 22),
}


def report(runs: int = 150) -> Report:
    """Returns the report.

    Args:
        runs: Samples of a start, at most; slow bundles have fewer.
    """
    import numpy as np

    rng = np.random.default_rng(7)
    devices = (_this_machine(rng, runs), _board(rng, runs), _emulated("cortex-a53"), _emulated("cortex-a76"))
    protocol = Protocol(rounds=ROUNDS, sustained_s=60)
    return Report(deploypipe="0.1.0", created="2026-11-27T02:08:00Z", protocol=protocol, devices=devices)


def facts(kind: Kind) -> BundleFacts:
    """Returns what a bundle says of itself."""
    model, target, _ = kind.name.split("/")
    return BundleFacts(
        name=kind.name,
        model=model,
        target=target,
        runtime=kind.runtime,
        runtime_version=VERSIONS[kind.runtime],
        precision=kind.precision,
        form=kind.form,
        bundle_bytes=int(kind.kb * 1000) + 96_300,
        artifact_bytes=int(kind.kb * 1000),
        scores={"accuracy": kind.accuracy},
        eager_scores={"accuracy": {"lltm": 98.67, "gcwsnet": 95.83, "mlp": 97.22}[model]},
        parity=_parity(kind),
        budgets=kind.budgets,
        digest=f"{KINDS.index(kind):064x}",
    )


def _parity(kind: Kind) -> Check:
    error, limit = (3.4e-7, 1e-4) if kind.precision == "fp32" else (0.0124, 0.05)
    return Check.of("native, batch=1", "logits", "normalized_error", error, limit)


def _verdict(kind: Kind, wrong: bool = False) -> Verdict:
    if not wrong:
        return Verdict(passed=True, checks=(_parity(kind),))
    check = Check.of("native, batch=5", "logits", "normalized_error", 0.0731, 0.05)
    return Verdict(passed=False, checks=(_parity(kind), check), failures=(check.describe(),))


def _samples(rng: np.random.Generator, us: float, count: int) -> tuple[int, ...]:
    """One process: its own level, a tail to the right, and now and then an interruption."""
    level = us * 1000 * rng.lognormal(0, 0.015)
    times = level * (0.97 + rng.gamma(2, 0.015, count))
    times[rng.random(count) < 0.004] *= rng.uniform(1.4, 2.2)
    return tuple(int(time) for time in times)


def _starts(rng: np.random.Generator, kind: Kind, us: float, runs: int, rounds: int = ROUNDS) -> tuple[Start, ...]:
    load, memory = LOADS[kind.runtime]
    return tuple(
        Start(
            round=number,
            process_ms=(load * 1000 + 9) * rng.lognormal(0, 0.04),
            load_ms=load * 1000 * rng.lognormal(0, 0.04),
            first_ns=int(us * 8000 * rng.lognormal(0, 0.1)),
            warm_up=int(rng.integers(10, 60)),
            settled=bool(rng.random() > 0.03),
            samples_ns=_samples(rng, us, runs),
            peak_mb=memory * rng.lognormal(0, 0.004),
        )
        for number in range(rounds)
    )


def _measured(rng: np.random.Generator, kind: Kind, slower: float, runs: int) -> Receipt:
    us, count = kind.us * slower, min(runs, kind.runs)
    return Receipt(
        bundle=facts(kind),
        status="measured",
        verdict=_verdict(kind, wrong=kind.name == "gcwsnet/laptop/onnxruntime-int8-qdq"),
        starts=_starts(rng, kind, us, count),
        twin=_starts(rng, kind, us, count) if kind.name in TWINS else (),
        points=tuple(_points(rng, us)),
        sustained=_sustained(rng, us, slower),
        operators=_operators(kind, us),
        scenarios=_scenarios(rng, us) if kind.name.startswith("lltm/server") else (),
    )


def _points(rng: np.random.Generator, us: float) -> Iterator[Point]:
    for threads in (1, 2, 4):
        yield Point(kind="threads", value=threads, samples_ns=_samples(rng, us * (0.45 + 0.55 / threads), 60))
    for batch in (1, 4, 16, 64):
        yield Point(kind="batch", value=batch, samples_ns=_samples(rng, us * (0.4 + 0.6 * batch), 60))
    for gap in (0, 10, 33, 100):
        yield Point(kind="gap_ms", value=gap, samples_ns=_samples(rng, us * (1 + gap**0.5 / 12), 40))


def _sustained(rng: np.random.Generator, us: float, slower: float) -> Sustained:
    """A board gets warm after half a minute; this machine does not."""

    def median(at: int) -> int:
        warm = 1 + (0.35 if slower > 1 else 0.0) * min(1.0, max(0.0, (at - 30) / 20))
        return int(us * 1000 * warm * rng.lognormal(0, 0.01))

    return Sustained(
        seconds=60, windows=tuple(Window(at_s=at, runs=int(9e5 / us), median_ns=median(at)) for at in range(60))
    )


def _operators(kind: Kind, us: float) -> Operators:
    ms = us / 1000
    parts: tuple[tuple[str, Any, float], ...] = (
        ("Gemm", "builtin", 0.16),
        ("Softmax", "builtin", 0.04),
        ("Reshape", "builtin", 0.02),
        ("XNNPACK partition 0" if kind.runtime in ("litert", "executorch") else "Transpose", "delegate", 0.11),
    )
    own = (("deploypipe::lltm_packed", "custom", 0.55),) if kind.form == "native" else (("MatMul", "builtin", 0.5),)
    found = sorted((*parts, *own), key=lambda part: -part[2])
    return Operators(
        how={"onnxruntime": "ONNX Runtime profiling", "litert": "LiteRT profiler"}.get(kind.runtime, "torch profiler"),
        runs=50,
        total_ms=ms * 1.1,
        operators=tuple(Operator(name=name, kind=what, calls=1, ms=ms * share) for name, what, share in found),
        kernel_ms=ms * 0.5 if kind.form == "native" else None,
        trace=f"{kind.name.replace('/', '-')}.trace.json",
        note="" if kind.runtime != "litert" else "What XNNPACK runs is one operator here.",
    )


def _scenarios(rng: np.random.Generator, us: float) -> tuple[Scenario, ...]:
    taken = _samples(rng, us, 400)
    return (
        Scenario(
            name="SingleStream", valid=True, seconds=10, queries=342_000, result=us / 960, unit="ms", latencies_ns=taken
        ),
        Scenario(name="Offline", valid=True, seconds=10, queries=298_000, result=9.5e5 / us, unit="samples/s"),
        Scenario(
            name="Server",
            valid=False,
            seconds=10,
            queries=171_000,
            result=6.6e5 / us,
            unit="queries/s",
            note="99 % of the queries within 0.25 ms, the target's budget; 98.1 % were.",
        ),
    )


def _this_machine(rng: np.random.Generator, runs: int) -> DeviceReceipts:
    facts_ = DeviceFacts(
        platform="linux-x86_64",
        cpu="Intel Xeon Platinum 8481C",
        cores=2,
        memory_mb=8340,
        system="Linux 6.1.0",
        load=0.41,
    )
    after = facts_.model_copy(update={"load": 1.07})
    receipts = tuple(
        _failed(kind) if kind.name == "mlp/server/onnxruntime-fp32" else _measured(rng, kind, 1, runs) for kind in KINDS
    )
    return DeviceReceipts(name="local", transport="local", facts=facts_, after=after, seconds=412, receipts=receipts)


def _failed(kind: Kind) -> Receipt:
    reason = "model.onnx was changed: its SHA-256 differs from the manifest. Build the bundle again."
    return Receipt(bundle=facts(kind), status="failed", reason=reason)


def _board(rng: np.random.Generator, runs: int) -> DeviceReceipts:
    facts_ = DeviceFacts(
        platform="linux-aarch64",
        cpu="Cortex-A76",
        cores=4,
        memory_mb=8255,
        system="Linux 6.6.31+rpt-rpi-2712",
        governor="performance",
        mhz=2400,
        load=0.05,
        celsius=58.2,
    )
    receipts = tuple(_on_board(rng, kind, runs) for kind in KINDS)
    return DeviceReceipts(name="pi5", transport="ssh", facts=facts_, lost=LOST, seconds=265, receipts=receipts)


def _on_board(rng: np.random.Generator, kind: Kind, runs: int) -> Receipt:
    if kind.runtime in ("aotinductor", "torchscript"):
        return _declined(kind, "there is no dp-bench with torch for linux-aarch64")
    if kind.name.startswith("mlp"):
        starts = _starts(rng, kind, kind.us * 3, runs, rounds=2) if kind.runtime == "litert" else ()
        return Receipt(bundle=facts(kind), status="lost", reason=LOST, starts=starts)
    return _measured(rng, kind, 3, runs)


def _declined(kind: Kind, why: str) -> Receipt:
    reason = f"{kind.runtime} cannot be measured here: {why}. Build the bundle for onnxruntime or litert."
    return Receipt(bundle=facts(kind), status="declined", reason=reason)


def _emulated(cpu: str) -> DeviceReceipts:
    """It counts instructions, and has no latencies."""
    facts_ = DeviceFacts(platform="linux-aarch64", cpu=f"{cpu} (qemu 7.2.22)", cores=2, memory_mb=8340, load=0.9)
    receipts = tuple(_counted(kind, cpu) for kind in KINDS)
    return DeviceReceipts(
        name=cpu, transport="local", emulates=cpu, facts=facts_, after=facts_, seconds=96, receipts=receipts
    )


def _counted(kind: Kind, cpu: str) -> Receipt:
    if kind.runtime not in ("onnxruntime", "litert"):
        return _declined(kind, "its library needs torch, which has no build for linux-aarch64 here")
    if cpu == "cortex-a53" and kind.precision == "int8-qdq":
        reason = (
            "dp-bench ended with SIGILL: it uses an instruction that cortex-a53 does not have. Build it for armv8-a."
        )
        return Receipt(bundle=facts(kind), status="failed", reason=reason)
    each = int(kind.us * 31_000) + (0 if cpu == "cortex-a53" else -2613)
    runs = (each, each, each, each, each + (275 if kind.runtime == "onnxruntime" else 0))
    counted = Instructions(emulator="qemu 7.2.22", cpu=cpu, load=184_302_117, per_inference=runs)
    return Receipt(bundle=facts(kind), status="measured", verdict=_verdict(kind), instructions=counted)
