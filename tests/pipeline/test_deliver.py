"""Delivery: a bundle is at its place whole, or what was there before is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from deploypipe.errors import DeployError
from deploypipe.pipeline.deliver import deliver


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "dist" / "plain" / "host" / "onnxruntime-fp32"


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_bundle_is_copied_whole(built_onnx: Path, place: Path) -> None:
    assert deliver(built_onnx, place).path == place
    assert content(place) == content(built_onnx)
    assert list(place.parent.iterdir()) == [place]


def test_a_bundle_that_is_there_is_left_alone(built_onnx: Path, place: Path) -> None:
    deliver(built_onnx, place)
    before = place.stat().st_ino
    deliver(built_onnx, place)
    assert place.stat().st_ino == before


@pytest.mark.parametrize("name", ["model.onnx", "golden.safetensors", "manifest.json"])
def test_a_damaged_bundle_is_replaced(built_onnx: Path, place: Path, name: str) -> None:
    deliver(built_onnx, place)
    with (place / name).open("ab") as file:
        file.write(b" ")
    deliver(built_onnx, place)
    assert content(place) == content(built_onnx)


def test_another_bundle_is_replaced(built_onnx: Path, built_script: Path, place: Path) -> None:
    deliver(built_script, place)
    deliver(built_onnx, place)
    assert content(place) == content(built_onnx)


def test_a_folder_that_is_no_bundle_is_left_alone(built_onnx: Path, place: Path) -> None:
    place.mkdir(parents=True)
    (place / "thesis.txt").write_text("do not lose")
    with pytest.raises(DeployError, match="is in the way: it is not a bundle"):
        deliver(built_onnx, place)
    assert content(place) == {"thesis.txt": b"do not lose"}


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_a_file_on_the_way_is_an_error_with_a_cure(built_onnx: Path, place: Path, depth: int) -> None:
    blocked = [place, *place.parents][depth]
    blocked.parent.mkdir(parents=True)
    blocked.write_text("file")
    with pytest.raises(DeployError, match=r"in the way|cannot be written"):
        deliver(built_onnx, place)
    assert blocked.read_text() == "file"


def test_an_interrupted_copy_leaves_nothing(built_onnx: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = shutil.copytree

    def interrupted(source: Path, destination: Path) -> None:
        real(source, destination)
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "copytree", interrupted)
    with pytest.raises(KeyboardInterrupt):
        deliver(built_onnx, place)
    assert list(place.parent.iterdir()) == []


def test_an_interrupted_exchange_leaves_the_earlier_bundle(
    built_onnx: Path, built_script: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(built_script, place)
    real = Path.rename

    def interrupted(path: Path, to: Path) -> Path:
        if path.name == "new":
            raise KeyboardInterrupt
        return real(path, to)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        deliver(built_onnx, place)
    assert content(place) == content(built_script)
    assert list(place.parent.iterdir()) == [place]


def test_a_bundle_that_was_damaged_in_the_cache_is_not_delivered(onnx_bundle: Path, place: Path) -> None:
    (onnx_bundle / "model.onnx").write_bytes(b"")
    with pytest.raises(DeployError, match="bytes instead of"):
        deliver(onnx_bundle, place)
    assert not place.exists()
