"""What goes into a build and what comes out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploypipe.bundle.manifest import Manifest, Verdict


@dataclass(frozen=True)
class Event:
    """Something that happened during a build.

    Attributes:
        row: `model/target/runtime-precision`.
        stage: `capture`, `lower` or `verify`.
        state: `started`, `done` or `reused`.
        seconds: How long it took.
    """

    row: str
    stage: str
    state: str
    seconds: float = 0.0


Observe = Callable[["Event | Outcome"], None]


@dataclass(frozen=True)
class Bundle:
    """A verified bundle.

    Attributes:
        path: Its folder.
        manifest: What it says about itself.
    """

    path: Path
    manifest: Manifest


@dataclass(frozen=True)
class Outcome:
    """What became of one artifact of one target.

    Attributes:
        row: `model/target/runtime-precision`.
        bundle: None when it failed.
        verdict: None when it failed before it could be verified.
        error: What went wrong, with the cure.
        stages: Stage to `done` or `reused`.
        seconds: How long it took.
    """

    row: str
    bundle: Bundle | None
    verdict: Verdict | None
    error: str = ""
    stages: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0


def ignore(_event: Event | Outcome) -> None:
    """Observes nothing."""


@dataclass(frozen=True)
class Settings:
    """How to build.

    Attributes:
        out: Folder that receives the bundles.
        force: Run every stage, whatever is cached.
        observe: Told of every stage and every outcome.
        log: Where the frameworks' own output goes; None lets it through.
    """

    out: Path
    force: bool = False
    observe: Observe = ignore
    log: Path | None = None
