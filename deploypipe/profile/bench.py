"""The words that a process is told which runs a bundle, and what it says: of `dp-bench`, and of `worker` in Python."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from deploypipe.bundle.manifest import Verdict
from deploypipe.devices.protocol import Finished
from deploypipe.errors import DeployError, VerdictError
from deploypipe.profile.receipt import Start

# Of the warm-up: it ends when the medians have settled, or after so many seconds.
SETTLE = 1.0


@dataclass(frozen=True)
class Bench:
    """What one process does with a bundle.

    Attributes:
        runs: Samples, at most.
        seconds: Of the samples, at most.
        settle: Seconds that the warm-up lasts at most.
        threads: Of one run.
        gap_ms: Rest before each run.
        axes: Sizes of axes; those of the golden vector where there are none. Its rows are repeated.
        verify: Holds the outputs against all golden vectors first.
        mark: Marks the runs for an emulator that counts.
    """

    runs: int
    seconds: float
    settle: float = SETTLE
    threads: int = 1
    gap_ms: float = 0.0
    axes: tuple[tuple[str, int], ...] = ()
    verify: bool = False
    mark: bool = False

    def words(self) -> list[str]:
        """Returns the options, after the bundle."""
        words = ["--runs", str(self.runs), "--seconds", f"{self.seconds:g}", "--settle", f"{self.settle:g}"]
        words += ["--threads", str(self.threads), "--cold-start"]
        words += [word for name, size in self.axes for word in ("--axis", f"{name}={size}")]
        words += ["--gap-ms", f"{self.gap_ms:g}"] if self.gap_ms else []
        return words + ["--verify"] * self.verify + ["--mark"] * self.mark

    @property
    def patience(self) -> float:
        """Seconds after which the process hangs: loading has as many as a slow device needs."""
        return 120 + 5 * (self.settle + self.seconds + self.runs * self.gap_ms / 1000)


@dataclass(frozen=True)
class Ran:
    """What a process said.

    Attributes:
        start: What it measured, as of round 0.
        verdict: None where it was not asked for.
    """

    start: Start
    verdict: Verdict | None


def parse(finished: Finished, who: str) -> Ran:
    """Reads what a process said.

    Args:
        finished: The process.
        who: Stands in the error.

    Raises:
        VerdictError: The bundle did not pass its verdict on that device.
        DeployError: It did not load or run, or its process crashed.
    """
    events = [json.loads(line) for line in finished.out.splitlines() if line.startswith("{")]
    verdict = next((_verdict(event) for event in events if event["event"] == "verdict"), None)
    if verdict and not verdict.passed:
        raise VerdictError(verdict.failures[0] if verdict.failures else f"{who} failed its verdict")
    if finished.code:
        raise DeployError(_failure(finished, who))
    try:
        return Ran(_start({event["event"]: event for event in events}, events), verdict)
    except KeyError as missing:
        raise DeployError(f"{who} ended without a word about {missing}", "Its version may be another one.") from None


def _start(told: dict[str, dict[str, Any]], events: Sequence[dict[str, Any]]) -> Start:
    return Start(
        round=0,
        process_ms=told["opened"].get("process_ms"),
        load_ms=told["opened"]["load_ms"],
        first_ns=told["first"]["ns"],
        warm_up=told["settled"]["runs"],
        settled=told["settled"]["settled"],
        samples_ns=tuple(event["ns"] for event in events if event["event"] == "sample"),
        peak_mb=told["done"]["peak_rss_mb"],
        runtime_version=told["opened"].get("runtime_version", ""),
    )


def _verdict(event: dict[str, Any]) -> Verdict:
    return Verdict.model_validate({name: value for name, value in event.items() if name != "event"})


def _failure(finished: Finished, who: str) -> str:
    lines = [line for line in finished.err.splitlines() if line.strip()]
    last = lines[-1].removeprefix("dp-bench: ").removesuffix(".") if lines else ""
    if finished.crash:
        return f"{who} was ended by {finished.crash}{': ' + last if last else ''}"
    return last or f"{who} ended with exit code {finished.code} and said nothing"
