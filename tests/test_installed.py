"""Which extras are installed, in the versions that were tested."""

from __future__ import annotations

from importlib import metadata

import pytest

from deploypipe import installed


def pretend(monkeypatch: pytest.MonkeyPatch, versions: dict[str, str | None]) -> None:
    """Lets packages look absent, or installed in another version."""
    real = metadata.version

    def version(name: str) -> str:
        found = versions.get(name, "real")
        if found is None:
            raise metadata.PackageNotFoundError(name)
        return real(name) if found == "real" else found

    monkeypatch.setattr(metadata, "version", version)


def test_an_extra_that_is_installed_is_available() -> None:
    assert installed.extra("onnxruntime").ok


def test_a_missing_package_is_named_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, {"onnxscript": None})
    found = installed.extra("onnxruntime")
    assert not found.ok
    assert found.reason == "onnxscript is not installed. Run `pip install 'deploypipe[onnxruntime]'`."


def test_a_version_that_was_not_tested_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, {"executorch": "0.9.0"})
    found = installed.extra("executorch")
    assert not found.ok
    assert "executorch 0.9.0 is installed, executorch==" in found.reason


def test_a_package_that_is_not_there_has_no_version() -> None:
    assert installed.version("no-such-package-of-ours") is None
    assert installed.version("torch") == metadata.version("torch")
