"""How to search."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deploypipe.search.candidate import Measured
from deploypipe.search.report import ArtifactReport
from deploypipe.search.sensitivity import Sensitivity

Found = tuple[Sensitivity, ...] | str | Measured | ArtifactReport
"""The sensitivities, the name of an artifact when its search begins, a setting, or how the search of it ended."""
Observe = Callable[[Found], None]


def ignore(_found: Found) -> None:
    """Observes nothing."""


@dataclass(frozen=True)
class Settings:
    """How to search.

    Attributes:
        out: Receives `<model>/<target>/<runtime>-<precision>/` and a report.
        trials: Settings that are measured for each artifact.
        seed: Of the sampler.
        workers: Trials that run at the same time.
        executor: A name of `executors.EXECUTORS`.
        observe: Told of what is found.
        log: Where the frameworks' own output goes; None lets it through.
    """

    out: Path
    trials: int = 12
    seed: int = 0
    workers: int = 2
    executor: str = "processes"
    observe: Observe = ignore
    log: Path | None = None
