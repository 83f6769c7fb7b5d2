"""What hostile folders and zips have in common: the sentence of Python, or the one that only a browser says."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from deploypipe.bundle import archive
from deploypipe.bundle.verify import verify
from deploypipe.errors import DeployError

Case = tuple[Callable[[Path], Any], str | None]
"""What is done to a bundle, and a pattern of what is said; None stands for the sentence of Python."""


def of_python(path: Path) -> str:
    """What Python says of a bundle."""
    with pytest.raises(DeployError) as caught, archive.opened(path):
        verify(path)
    return caught.value.message


def other_sentences(
    cases: Mapping[str, Case], paths: Mapping[str, Path], found: list[dict[str, str]]
) -> dict[str, object]:
    """Returns what was said where it was not one sentence with a cure, or not the one that it should be."""
    other: dict[str, object] = {}
    for (name, (_, pattern)), path, said in zip(cases.items(), paths.values(), found, strict=True):
        expected = pattern or re.escape(of_python(path).replace(str(path), "bundle"))
        message = said.get("message", "").replace(str(path), "bundle")
        if not re.fullmatch(expected, message) or not said["cure"].endswith("."):
            other[name] = expected, said
    return other
