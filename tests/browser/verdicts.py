"""The verdict that JavaScript must give, and the types of the fixtures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploypipe.bundle.verify import verify

App = Callable[[Path], Path]
Node = Callable[..., "list[Any]"]
Trained = Callable[[str], Path]


def inlined(bundle: Path) -> dict[str, Any]:
    """The verdict of Python on the form of a bundle that a browser runs: the one without op library."""
    found = verify(bundle).verdict.model_dump(mode="json")
    checks = [check for check in found["checks"] if check["what"].startswith("without op library")]
    failures = [failure for failure in found["failures"] if "(without op library" in failure]
    return {"passed": not failures, "checks": checks, "failures": failures}


def assert_same_verdict(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Compares verdicts: words exactly, values as far as WebAssembly and native code round alike."""
    assert found["checks"]
    values = [[check.pop("value") for check in each["checks"]] for each in (found, expected)]
    assert found == expected
    for value, other in zip(*values, strict=True):
        assert value == (None if other is None else pytest.approx(other, rel=1e-2, abs=1e-6))
