"""Damaged and hostile zips: one sentence each; what is not listed is never unpacked."""

from __future__ import annotations

import shutil
import stat
import struct
import zipfile
from pathlib import Path

import pytest

from deploypipe.bundle import archive
from tests.bundle.damage import truncate

from .hostility import Case, other_sentences
from .verdicts import App, Node

MODEL = "model.onnx"
# Signatures of the records of a zip: before an entry, in the list of entries, at the end.
LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"


def packed(bundle: Path, method: int = zipfile.ZIP_DEFLATED, **contents: bytes) -> Path:
    """A zip as any tool writes it, with other content for some files; the artifact is the last one."""
    file = bundle.parent / "bundle.zip"
    with zipfile.ZipFile(file, "w", method) as made:
        for path in sorted(bundle.iterdir()):
            made.writestr(path.name, contents.get(path.stem, path.read_bytes()))
    return file


def with_entry(bundle: Path, name: str, mode: int = stat.S_IFREG) -> Path:
    file = packed(bundle)
    with zipfile.ZipFile(file, "a") as made:
        info = zipfile.ZipInfo(name)
        info.create_system, info.external_attr = 3, (mode | 0o644) << 16
        made.writestr(info, b"x")
    return file


def patched(file: Path, record: bytes, offset: int, kind: str, value: int) -> Path:
    """Changes a number in the last record of a kind."""
    content = bytearray(file.read_bytes())
    struct.pack_into(kind, content, content.rfind(record) + offset, value)
    file.write_bytes(content)
    return file


def bomb(bundle: Path) -> Path:
    """An entry that says the listed size, and unpacks to a thousand times of it."""
    size = (bundle / MODEL).stat().st_size
    return patched(packed(bundle, model=bytes(1000 * size)), CENTRAL, 24, "<I", size)


def zip64(bundle: Path) -> Path:
    """An entry whose extra field may say another size; its kind is one that nobody knows before it is changed."""
    file = packed(bundle)
    with zipfile.ZipFile(file, "a") as made:
        info = zipfile.ZipInfo("x")
        info.extra = struct.pack("<2HL", 0x7777, 4, 0)
        made.writestr(info, b"x")
    return patched(file, CENTRAL, 46 + len("x"), "<H", 1)


def cut_off(bundle: Path) -> Path:
    file = packed(bundle)
    truncate(file)
    return file


def with_tail(bundle: Path) -> Path:
    file = packed(bundle)
    file.write_bytes(file.read_bytes() + b"x")
    return file


def twice(bundle: Path) -> Path:
    with pytest.warns(UserWarning, match="Duplicate name"):
        return with_entry(bundle, MODEL)


def crowded(bundle: Path) -> Path:
    file = packed(bundle)
    with zipfile.ZipFile(file, "a") as made:
        for number in range(10_000):
            made.writestr(str(number), b"")
    return file


def without_manifest(bundle: Path) -> Path:
    (bundle / "manifest.json").unlink()
    return packed(bundle)


BROKEN = "bundle is not a whole zip: "

ZIPS: dict[str, Case] = {
    "cut off": (cut_off, None),
    "no zip": (lambda bundle: bundle / MODEL, BROKEN + "it does not end as one"),
    "more behind its end": (with_tail, None),
    "path that leaves": (lambda bundle: with_entry(bundle, "../evil"), None),
    "stranger": (lambda bundle: with_entry(bundle, "evil.so"), None),
    "link": (lambda bundle: with_entry(bundle, "link", stat.S_IFLNK), None),
    "same name twice": (twice, None),
    "too many entries": (crowded, None),
    "million entries": (lambda bundle: patched(packed(bundle), END, 10, "<H", 0xFFFF), "bundle has 65535 entries; .+"),
    "more entries than there are": (
        lambda bundle: patched(packed(bundle), END, 10, "<H", 9),
        None,
    ),
    "fewer entries than there are": (lambda bundle: patched(packed(bundle), END, 10, "<H", 1), None),
    "list that is cut off": (
        lambda bundle: patched(packed(bundle), CENTRAL, 32, "<H", 99),
        BROKEN + "its list of entries is cut off",
    ),
    "zip64": (zip64, None),
    "list that begins elsewhere": (lambda bundle: patched(packed(bundle), END, 16, "<I", 7), None),
    "encrypted": (lambda bundle: patched(packed(bundle), CENTRAL, 8, "<H", 1), None),
    "packed in an unknown way": (lambda bundle: patched(packed(bundle), CENTRAL, 10, "<H", 99), None),
    "no manifest": (without_manifest, None),
    "another size than listed": (lambda bundle: packed(bundle, model=bytes(10_000_000)), None),
    "bomb": (bomb, r"model\.onnx in bundle has \d+ bytes instead of \d+"),
    "entry that is elsewhere": (
        lambda bundle: patched(packed(bundle), CENTRAL, 42, "<I", 7),
        BROKEN + r"model\.onnx is not where it should be",
    ),
    "entry beyond the end": (
        lambda bundle: patched(packed(bundle), CENTRAL, 20, "<I", 2**31),
        BROKEN + r"model\.onnx is cut off",
    ),
    "not deflated": (
        lambda bundle: patched(packed(bundle), LOCAL, 30 + len(MODEL), "<I", 0xFFFFFFFF),
        BROKEN + r"model\.onnx cannot be unpacked",
    ),
}


@pytest.mark.slow
def test_a_hostile_zip_gets_one_sentence(app: App, node: Node, onnx_bundle: Path, tmp_path: Path) -> None:
    files = {}
    for number, (name, (damage, _)) in enumerate(ZIPS.items()):
        files[name] = damage(Path(shutil.copytree(onnx_bundle, tmp_path / "cases" / str(number) / "bundle")))
    found = node("check.mjs", app(onnx_bundle), *files.values())
    assert other_sentences(ZIPS, files, found) == {}


@pytest.mark.slow
def test_an_honest_zip_of_any_tool_is_read(app: App, node: Node, onnx_bundle: Path, tmp_path: Path) -> None:
    stored = packed(onnx_bundle, zipfile.ZIP_STORED).rename(tmp_path / "stored.zip")
    with zipfile.ZipFile(stored, "a") as made:
        made.mkdir("folder")
    archive.pack_zip(onnx_bundle, tmp_path / "own.zip")
    found = node("check.mjs", app(onnx_bundle), stored, packed(onnx_bundle), tmp_path / "own.zip")
    assert [verdict["passed"] for verdict in found] == [True, True, True]
