"""The Swift package, as far as there is no Swift: the module of C, the header, the files that it names."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from deploypipe.embed import get
from deploypipe.native import PROJECT

from .conftest import Embed, Shell

HEADER = Path("deploypipe", "deploypipe.h")
MODULE = Path("Sources", "CDeploypipe", "include")


@pytest.fixture
def package(onnx_bundle: Path, embed: Embed) -> Path:
    return embed(onnx_bundle, "ios")


def test_clang_imports_the_module(package: Path, shell: Shell, tmp_path: Path) -> None:
    if shutil.which("clang") is None:
        pytest.skip("there is no clang")
    line = "clang -fmodules -fmodule-map-file={0}/module.modulemap -I {0} -fsyntax-only -Wall -Wextra -Werror {1}"
    importing = tmp_path / "importing.c"
    importing.write_text("@import CDeploypipe;\nint main(void) { return dp_version() == 0; }\n")
    shell(line.format(package / MODULE, f"-fmodules-cache-path={tmp_path} -x objective-c {importing}"), tmp_path)
    shell(line.format(package / MODULE, package / "Sources/CDeploypipe/CDeploypipe.c"), tmp_path)


def test_the_header_is_that_of_the_sdk(package: Path) -> None:
    assert (package / MODULE / HEADER).read_text() == (PROJECT.directory / "sdk" / "include" / HEADER).read_text()
    named = re.findall(r'header "(.+)"', (package / MODULE / "module.modulemap").read_text())
    assert named == [HEADER.as_posix()]


def test_swift_calls_what_the_header_declares() -> None:
    header = (PROJECT.directory / "sdk" / "include" / HEADER).read_text()
    texts = [path.read_text() for path in get("ios").folder.rglob("*.swift")]
    called = {name for text in texts for name in re.findall(r"\b(dp_\w+|DP_[A-Z]\w*)", text)}
    assert "dp_open" in called
    assert [name for name in sorted(called) if not re.search(rf"\b{name}\b", header)] == []


def test_the_targets_of_the_package_are_there(package: Path) -> None:
    text = (package / "Package.swift").read_text()
    c_target, swift_target = re.findall(r'\.target\(\s*name: "(\w+)"', text)
    assert list((package / "Sources" / c_target).glob("*.c"))
    assert list((package / "Sources" / swift_target).glob("*.swift"))
    (tests,) = re.findall(r'\.testTarget\(\s*name: "(\w+)"', text)
    assert list((package / "Tests" / tests).glob("*.swift"))
    (resource,) = re.findall(r'\.copy\("(.+)"\)', text)
    assert (package / "Sources" / "Deploypipe" / resource).is_file()
    assert os.access(package / "framework" / "build.sh", os.X_OK)


def test_the_library_of_the_framework_is_configured(package: Path, shell: Shell) -> None:
    """Linux knows no frameworks; that CMake takes the file, and finds all that it names, can be seen here."""
    shell("cmake -G Ninja -S framework -B build && ninja -C build -n deploypipe", package)
    assert "libDeploypipeCore" in (package / "build" / "build.ninja").read_text()
    shell("bash -n framework/build.sh", package)
