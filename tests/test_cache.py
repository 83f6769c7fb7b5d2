"""The store of finished stages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from deploypipe import cache
from deploypipe.errors import DeployError


def writes(text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / "result").write_text(text) and None


def test_a_stage_runs_once_per_key(own_cache: Path) -> None:
    first, reused_first = cache.stage("lower", "key", writes("one"))
    second, reused_second = cache.stage("lower", "key", writes("two"))
    assert (reused_first, reused_second) == (False, True)
    assert first == second == own_cache / "lower" / "key"
    assert (second / "result").read_text() == "one"


def test_another_key_is_another_result(own_cache: Path) -> None:
    one, _ = cache.stage("lower", "one", writes("one"))
    two, _ = cache.stage("lower", "two", writes("two"))
    assert [(each / "result").read_text() for each in (one, two)] == ["one", "two"]


def test_force_replaces_a_result(own_cache: Path) -> None:
    cache.stage("lower", "key", writes("one"))
    folder, reused = cache.stage("lower", "key", writes("two"), force=True)
    assert not reused
    assert (folder / "result").read_text() == "two"


def test_without_a_key_a_stage_runs_every_time(own_cache: Path) -> None:
    one, _ = cache.stage("lower", None, writes("one"))
    two, reused = cache.stage("lower", None, writes("two"))
    assert not reused
    assert one != two


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_stage_that_fails_leaves_nothing(own_cache: Path, error: type[BaseException]) -> None:
    def fails(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise error

    with pytest.raises(error):
        cache.stage("lower", "key", fails)
    assert list((own_cache / "lower").iterdir()) == []


def test_a_forced_stage_that_fails_leaves_the_earlier_result(own_cache: Path) -> None:
    def fails(_: Path) -> None:
        raise ValueError("half")

    folder, _ = cache.stage("lower", "key", writes("one"))
    with pytest.raises(ValueError, match="half"):
        cache.stage("lower", "key", fails, force=True)
    assert (folder / "result").read_text() == "one"


def test_a_cache_that_cannot_be_written_names_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DEPLOYPIPE_CACHE", str(tmp_path / "file"))
    with pytest.raises(DeployError, match=r"cannot be written: .* DEPLOYPIPE_CACHE"):
        cache.stage("lower", "key", writes("one"))


def test_the_place_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEPLOYPIPE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache.root() == Path("/somewhere/deploypipe")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.root() == Path.home() / ".cache" / "deploypipe"
