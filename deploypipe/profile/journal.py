"""What was measured so far, line by line, so that a profile that was interrupted can go on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from pydantic import TypeAdapter

from deploypipe.errors import DeployError

FOLDER = ".journal"
_T = TypeVar("_T")


@dataclass(frozen=True)
class Journal:
    """The measurements of one device.

    Attributes:
        file: Where they are written; None keeps them in memory only.
        known: By their keys.
    """

    file: Path | None = None
    known: dict[str, Any] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def once(self, key: str, kind: TypeAdapter[_T], make: Callable[[], _T]) -> _T:
        """Returns what is known, or makes it and writes it down.

        Args:
            key: Unique among the measurements of the device.
            kind: Of the value.
            make: Measures it.
        """
        if key in self.known:
            return kind.validate_python(self.known[key])
        value = make()
        self._write(key, kind.dump_python(value, mode="json"))
        return value

    def _write(self, key: str, value: Any) -> None:
        self.known[key] = value
        if self.file:
            with self._lock, self.file.open("a") as file:
                file.write(json.dumps([key, value]) + "\n")


def opened(out: Path, device: str, identity: Mapping[str, str], resume: bool) -> Journal:
    """Opens the journal of a device.

    Args:
        out: Folder of the report.
        device: Its name.
        identity: What has to be the same for a measurement to be of use: protocol, digests of the bundles.
        resume: Takes what is there, if it is of the same identity; else it begins anew.

    Raises:
        DeployError: What is there is of other bundles or another protocol.
    """
    file = out / FOLDER / f"{device}.jsonl"
    lines = _lines(file) if resume else []
    if lines and lines[0] != identity:
        raise DeployError(
            f"{file} was begun with other bundles or another protocol", "Leave --resume out to begin anew."
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(line) + "\n" for line in (lines or [identity])))
    return Journal(file, dict(lines[1:]))


def _lines(file: Path) -> list[Any]:
    """Returns the lines that are whole; the last one may not be."""
    try:
        text = file.read_text()
    except OSError:
        return []
    found = []
    for line in text.splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return found
