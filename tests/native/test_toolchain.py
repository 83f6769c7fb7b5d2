"""What is missing is named, with its cure."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploypipe import native
from deploypipe.errors import DeployError
from deploypipe.native import toolchain


@pytest.mark.parametrize("binding", native.BINDINGS)
def test_every_binding_can_be_built_here(binding: str) -> None:
    assert native.available(binding) == native.available(binding)
    assert native.available(binding).ok, native.available(binding).reason


def test_an_unknown_binding() -> None:
    with pytest.raises(DeployError, match=r"no binding 'tflite'.*torch, onnxruntime, executorch"):
        native.available("tflite")


@pytest.mark.parametrize(("name", "cure"), [("cmake", "apt install cmake"), ("ninja", "apt install ninja-build")])
def test_a_missing_tool(monkeypatch: pytest.MonkeyPatch, name: str, cure: str) -> None:
    real = toolchain.tool
    monkeypatch.setattr(toolchain, "tool", lambda wanted: None if wanted == name else real(wanted))
    found = native.available("torch")
    assert not found.ok
    assert found.reason.startswith(f"{name} is not there. Install it with 'pip install deploypipe[ops]'")
    assert cure in found.reason


def test_a_missing_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "compiler", lambda: None)
    assert "apt install g++" in native.available("torch").reason
    with pytest.raises(DeployError, match="There is no C\\+\\+ compiler"):
        native.library("torch")


@pytest.mark.parametrize(
    ("says", "too_old"),
    [
        ("g++ (Debian 10.2.1-6) 10.2.1 20210110", True),
        ("g++ (Debian 12.2.0-14) 12.2.0", False),
        ("Debian clang version 19.1.7", False),
    ],
)
def test_an_old_compiler(monkeypatch: pytest.MonkeyPatch, says: str, too_old: bool) -> None:
    monkeypatch.setattr(toolchain, "compiler_version", lambda _: says)
    assert native.available("torch").ok is not too_old


def test_missing_headers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ORT_INCLUDE_DIR", str(tmp_path))
    found = native.available("onnxruntime")
    assert not found.ok
    assert "scripts/headers" in found.reason
    assert "ORT_INCLUDE_DIR" in found.reason
    (tmp_path / "onnxruntime_c_api.h").write_text("")
    assert native.available("onnxruntime").ok


def test_a_missing_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "package_folder", lambda package, platform: None)
    assert native.available("executorch").reason.endswith("'pip install deploypipe[executorch]'.")


def test_missing_sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(toolchain, "PROJECT", native.OpSource(tmp_path, "deploypipe"))
    assert "pip install -e ." in native.available("torch").reason


def test_abi_names_the_oldest_runtime() -> None:
    assert native.abi("onnxruntime") == {"onnxruntime": "1.21"}
    assert native.abi("torch") == {"torch": "2.13"}
    assert native.abi("executorch") == {"executorch": "1.4.1"}


def test_an_unknown_platform() -> None:
    with pytest.raises(DeployError, match=r"platform 'amiga'.*linux-aarch64"):
        native.library("torch", platform="amiga")


def test_another_platform_needs_its_own_runtime(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(toolchain, "tool", lambda name: f"/{name}")
    monkeypatch.delenv("DEPLOYPIPE_PACKAGES_LINUX_AARCH64", raising=False)
    lack = toolchain.missing("executorch", "linux-aarch64")
    assert lack is not None
    assert "DEPLOYPIPE_PACKAGES_LINUX_AARCH64" in lack.cure
    (tmp_path / "executorch").mkdir()
    monkeypatch.setenv("DEPLOYPIPE_PACKAGES_LINUX_AARCH64", str(tmp_path))
    assert toolchain.missing("executorch", "linux-aarch64") is None


def test_nothing_need_be_installed_to_build_for_litert(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "package_folder", lambda package, platform: None)
    monkeypatch.setattr(toolchain, "installed_version", lambda package: None)
    assert native.available("litert").ok
    assert native.abi("litert") == {"ai-edge-litert": "2.3"}
    monkeypatch.setattr(toolchain, "tool", lambda name: f"/{name}")
    assert toolchain.missing("litert", "linux-aarch64") is None


def test_highway_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "one_simd.cpp").touch()
    monkeypatch.setenv("HIGHWAY_INCLUDE_DIR", str(tmp_path))
    lack = toolchain.missing("standalone", source=native.OpSource(tmp_path, "mine"))
    assert lack is not None
    assert "Google Highway are missing" in lack.what
    assert "libhwy-dev" in lack.cure


def test_highway_is_not_needed_without_simd_sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HIGHWAY_INCLUDE_DIR", str(tmp_path))
    assert toolchain.missing("standalone", source=native.OpSource(tmp_path, "mine")) is None
