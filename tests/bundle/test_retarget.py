"""Bundles for another platform: their op libraries are built for it, and what cannot run there is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploypipe.bundle import integrity
from deploypipe.bundle.manifest import SIGNATURE
from deploypipe.bundle.retarget import retarget
from deploypipe.errors import DeployError

from .damage import edit, flip, library, mend

PLATFORM = "linux-aarch64"


def test_only_the_op_library_changes(hashing_onnx: Path, tmp_path: Path) -> None:
    (hashing_onnx / SIGNATURE).write_text("of what was built")
    copy = retarget(hashing_onnx, PLATFORM, tmp_path / "copy")
    before, after = integrity.check(hashing_onnx), integrity.check(copy)
    assert library(copy).read_bytes()[18:20] == b"\xb7\x00"  # EM_AARCH64
    assert {name for name in before.files if before.files[name] != after.files[name]} == set(before.libraries())
    changed = {"platform", "files", "sizes"}
    assert after.model_dump(exclude=changed) == before.model_dump(exclude=changed)
    assert after.platform == PLATFORM
    assert not (copy / SIGNATURE).exists()


def test_a_bundle_without_op_libraries_goes_to_any_platform(onnx_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    copy = retarget(onnx_bundle, "some-board", tmp_path / "copy")
    assert integrity.check(copy).platform == "some-board"


def test_a_runtime_that_is_not_there_for_the_platform_is_named(hashing_script: Path, tmp_path: Path) -> None:
    with pytest.raises(DeployError, match=f"There is no torch for {PLATFORM}. Unpack its wheel"):
        retarget(hashing_script, PLATFORM, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_machine_code_stays_where_it_was_compiled(onnx_bundle: Path, tmp_path: Path) -> None:
    edit(onnx_bundle, lambda table: table["runtime"].update(name="aotinductor"))
    with pytest.raises(DeployError, match=f"The artifact of aotinductor is machine code for .+, not for {PLATFORM}"):
        retarget(onnx_bundle, PLATFORM, tmp_path / "copy")


def test_a_bundle_for_browsers_stays_there(onnx_bundle: Path, tmp_path: Path) -> None:
    edit(onnx_bundle, lambda table: table.update(platform="browser"))
    with pytest.raises(DeployError, match="The bundle is for browsers"):
        retarget(onnx_bundle, PLATFORM, tmp_path / "copy")


def test_the_op_library_of_a_user_is_built_where_its_source_is(hashing_onnx: Path, tmp_path: Path) -> None:
    file = library(hashing_onnx)
    file.write_bytes(file.read_bytes().replace(b'"namespace": "deploypipe"', b'"namespace": "of_a_user."'))
    mend(hashing_onnx)
    with pytest.raises(DeployError, match="its source is not known here"):
        retarget(hashing_onnx, PLATFORM, tmp_path / "copy")


def test_a_platform_without_a_toolchain_is_refused(hashing_onnx: Path, tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="Op libraries cannot be built for the platform 'some-board'"):
        retarget(hashing_onnx, "some-board", tmp_path / "copy")


def test_a_damaged_bundle_is_refused(onnx_bundle: Path, tmp_path: Path) -> None:
    flip(onnx_bundle / "model.onnx")
    with pytest.raises(DeployError, match="was changed"):
        retarget(onnx_bundle, PLATFORM, tmp_path / "copy")
