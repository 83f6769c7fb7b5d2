"""Helpers: libraries of deploypipe's own that are built when they are first asked for."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from deploypipe import native
from deploypipe.errors import DeployError
from deploypipe.native import helpers
from deploypipe.native.helpers import helper
from deploypipe.native.sources import OpSource

CMAKE = """
cmake_minimum_required(VERSION 3.22)
project(small LANGUAGES CXX)
add_library(small SHARED small.cpp)
target_compile_definitions(small PRIVATE ANSWER=${ANSWER})
"""


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the place of csrc, with a library that gives an answer."""
    folder = tmp_path / "csrc" / "small"
    folder.mkdir(parents=True)
    (folder / "CMakeLists.txt").write_text(CMAKE)
    (folder / "small.cpp").write_text('extern "C" int answer() { return ANSWER; }\n')
    monkeypatch.setattr(helpers, "PROJECT", OpSource(folder.parent, native.PROJECT.namespace))
    monkeypatch.setenv("DEPLOYPIPE_CACHE", str(tmp_path / "cache"))
    return folder


def answer(library: Path) -> int:
    return int(ctypes.CDLL(str(library)).answer())


def test_a_helper_is_built_once_for_its_settings_and_sources(small: Path) -> None:
    first = helper("small", "libsmall.so", {"ANSWER": 42})
    made = first.stat().st_mtime_ns
    assert answer(first) == 42
    assert helper("small", "libsmall.so", {"ANSWER": 42}).stat().st_mtime_ns == made
    assert answer(helper("small", "libsmall.so", {"ANSWER": 43})) == 43
    (small / "small.cpp").write_text('extern "C" int answer() { return -ANSWER; }\n')
    assert answer(helper("small", "libsmall.so", {"ANSWER": 42})) == -42


def test_a_helper_is_built_again_when_a_header_that_it_takes_changes(small: Path) -> None:
    shared = small.parent / "shared"
    shared.mkdir()
    (small / "small.cpp").write_text('#include "../shared/sign.h"\nextern "C" int answer() { return SIGN ANSWER; }\n')
    for sign, expected in (("+", 42), ("-", -42)):
        (shared / "sign.h").write_text(f"#define SIGN {sign}\n")
        assert answer(helper("small", "libsmall.so", {"ANSWER": 42}, uses=["shared"])) == expected


def test_a_helper_that_does_not_compile_names_the_error(small: Path) -> None:
    (small / "small.cpp").write_text("int answer( {\n")
    with pytest.raises(DeployError, match=r"Building libsmall\.so failed:\n.*small\.cpp"):
        helper("small", "libsmall.so", {"ANSWER": 1})
