"""Building the SDK from Python: what is cached, what a build lacks, and `deploypipe sdk install`."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploypipe.errors import DeployError
from deploypipe.native import sdk, toolchain
from tests.conftest import Cli


def test_a_tree_has_what_an_app_needs(tree: Path) -> None:
    for name in ("include/deploypipe/deploypipe.h", "include/deploypipe/deploypipe.hpp", "lib/libdeploypipe.so",
                 "lib/cmake/deploypipe/deploypipe-config.cmake", "lib/pkgconfig/deploypipe.pc"):  # fmt: skip
        assert (tree / name).is_file(), name


def test_a_tree_is_built_once(tree: Path) -> None:
    before = (tree / "lib" / "libdeploypipe.so").stat().st_mtime_ns
    assert sdk.tree() == tree
    assert sdk.tree("host") == sdk.tree(toolchain.host_platform()) == tree
    assert (tree / "lib" / "libdeploypipe.so").stat().st_mtime_ns == before


def test_an_unknown_backend() -> None:
    with pytest.raises(DeployError, match=r"The SDK has no backend 'tensorrt'. Known are: onnxruntime, litert"):
        sdk.tree(backends=("tensorrt",))


def test_a_backend_that_is_asked_for_and_cannot_be_built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ORT_INCLUDE_DIR", str(tmp_path))
    with pytest.raises(DeployError, match="The C headers of ONNX Runtime are missing"):
        sdk.tree(backends=("onnxruntime",))


def test_a_platform_without_a_toolchain() -> None:
    with pytest.raises(DeployError, match="for the platform 'amiga-m68k'"):
        sdk.tree("amiga-m68k")


def test_zlib_for_another_platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DEPLOYPIPE_SYSROOT_LINUX_AARCH64", str(tmp_path))
    assert sdk.sysroot("linux-aarch64") is None
    if toolchain.tool("aarch64-linux-gnu-g++"):
        with pytest.raises(DeployError, match=r"There is no zlib for linux-aarch64. Run 'scripts/sysroot'"):
            sdk.tree("linux-aarch64")
    (tmp_path / "include").mkdir()
    (tmp_path / "include" / "zlib.h").touch()
    assert sdk.sysroot("linux-aarch64") == tmp_path


def test_the_command_installs_a_copy(cli: Cli, tree: Path, tmp_path: Path) -> None:
    place = tmp_path / "sdk"
    said = cli("sdk", "install", place, code=0).stdout
    assert "onnxruntime" in said
    assert (place / "lib" / "libdeploypipe.so").read_bytes() == (tree / "lib" / "libdeploypipe.so").read_bytes()
    cli("sdk", "install", place, code=0)  # a newer one takes the place of an older one


def test_the_command_keeps_off_other_folders(cli: Cli, tree: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    said = cli("sdk", "install", tmp_path, code=2).stderr
    assert "is not empty and holds no SDK" in said
    assert not (tmp_path / "include").exists()
    assert "cannot be written" in cli("sdk", "install", tmp_path / "notes.txt", code=2).stderr
