"""Bundles as zips: the same bytes each time, taken wherever a folder is, and hostile ones refused in one sentence."""

from __future__ import annotations

import json
import stat
import struct
import tempfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import deploypipe
from deploypipe.bundle import archive
from deploypipe.bundle.manifest import SIGNATURE
from deploypipe.bundle.verify import verify
from deploypipe.errors import DeployError

from .damage import edit, flip, mend, ones, truncate

Cli = Callable[..., Any]


@pytest.fixture
def zipped(onnx_bundle: Path, tmp_path: Path) -> Path:
    archive.pack_zip(onnx_bundle, tmp_path / "bundle.zip")
    return tmp_path / "bundle.zip"


@pytest.fixture
def own_temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where bundles are unpacked, with nothing else in it."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def rewritten(
    file: Path, change: Callable[[dict[str, bytes]], object] = lambda _: None, method: int = zipfile.ZIP_DEFLATED
) -> Path:
    """Writes the entries of a zip anew, after a change."""
    with zipfile.ZipFile(file) as old:
        entries = {name: old.read(name) for name in old.namelist()}
    change(entries)
    with zipfile.ZipFile(file, "w", method) as new:
        for name, content in entries.items():
            new.writestr(name, content)
    return file


def test_a_zip_is_the_same_each_time_and_sorted(onnx_bundle: Path, tmp_path: Path) -> None:
    for name in ("one.zip", "two.zip"):
        archive.pack_zip(onnx_bundle, tmp_path / name)
        (onnx_bundle / "model.onnx").touch()
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as file:
        assert file.namelist() == ["golden.safetensors", "manifest.json", "model.onnx"]
        assert {entry.date_time for entry in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_a_zip_is_loaded_runs_and_is_gone_when_it_is_closed(
    onnx_bundle: Path, zipped: Path, own_temporary: Path
) -> None:
    (expected,) = deploypipe.load(onnx_bundle)(ones(3, 4))
    with deploypipe.load(zipped) as model:
        np.testing.assert_array_equal(model(ones(3, 4))[0], expected)
        assert model.verify().passed
        assert model.path.parent == own_temporary
    assert list(own_temporary.iterdir()) == []
    with pytest.raises(DeployError, match="The model is closed"):
        model(ones(3, 4))


def test_a_bundle_with_an_op_library_is_verified_from_its_zip(hashing_onnx: Path, tmp_path: Path) -> None:
    archive.pack_zip(hashing_onnx, tmp_path / "hashing.zip")
    finding = verify(tmp_path / "hashing.zip")
    assert finding.verdict.passed
    assert finding.paths == {"deploypipe::cws_dense": "native"}


def test_the_command_line_writes_and_takes_zips(cli: Cli, onnx_bundle: Path, tmp_path: Path) -> None:
    cli("zip", onnx_bundle, "bundle.zip", code=0)
    assert "pass bundle.zip" in cli("verify", "bundle.zip", code=0).stdout
    assert json.loads(cli("inspect", "bundle.zip", "--json", code=0).stdout)["model"] == "plain"
    np.savez(tmp_path / "in.npz", x=ones(2, 4))
    cli("run", "bundle.zip", "--input", tmp_path / "in.npz", "--output", "out.npz", code=0)
    assert sorted(path.name for path in (tmp_path / "work").iterdir()) == ["bundle.zip", "out.npz"]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_other_tools_may_write_it_with_folders_and_in_any_order(zipped: Path, method: int) -> None:
    rewritten(
        zipped, lambda entries: entries.update({"lib/": b"", "manifest.json": entries.pop("manifest.json")}), method
    )
    assert deploypipe.load(zipped).manifest.model == "plain"


def test_a_damaged_bundle_is_not_zipped(onnx_bundle: Path, tmp_path: Path) -> None:
    flip(onnx_bundle / "model.onnx")
    with pytest.raises(DeployError, match=r"model.onnx in .* was changed"):
        archive.pack_zip(onnx_bundle, tmp_path / "x.zip")
    assert not (tmp_path / "x.zip").exists()


@pytest.mark.parametrize("place", ["no/such/folder/x.zip", "onnx-bundle/x.zip", "onnx-bundle"])
def test_a_zip_that_cannot_be_written_leaves_nothing(onnx_bundle: Path, tmp_path: Path, place: str) -> None:
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DeployError, match=r"cannot be written|lies in the bundle"):
        archive.pack_zip(onnx_bundle, tmp_path / place)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_bundle_that_would_need_zip64_is_not_zipped(
    onnx_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MAX_PACKED", 100)
    with pytest.raises(DeployError, match=r"bytes; in a zip 100 are the most. Use its folder"):
        archive.pack_zip(onnx_bundle, tmp_path / "x.zip")


def test_a_bundle_of_more_files_than_a_reader_takes_is_not_zipped(
    onnx_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MAX_FILES", 2)
    with pytest.raises(DeployError, match=r"has 3 files; in a zip 2 are the most. Use its folder"):
        archive.pack_zip(onnx_bundle, tmp_path / "x.zip")
    assert not (tmp_path / "x.zip").exists()


def patched(file: Path, old: bytes, new: bytes) -> None:
    content = file.read_bytes()
    assert old in content
    file.write_bytes(content.replace(old, new))


def with_manifest(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    """Changes the manifest in a zip."""

    def damage(file: Path) -> None:
        def apply(entries: dict[str, bytes]) -> None:
            table = json.loads(entries["manifest.json"])
            change(table)
            entries["manifest.json"] = json.dumps(table).encode()

        rewritten(file, apply)

    return damage


def with_entry(name: str, content: bytes = b"x") -> Callable[[Path], object]:
    return lambda file: rewritten(file, lambda entries: entries.update({name: content}))


def without(name: str) -> Callable[[Path], object]:
    return lambda file: rewritten(file, lambda entries: entries.pop(name))


def twice(file: Path) -> None:
    with zipfile.ZipFile(file, "a") as old, pytest.warns(UserWarning, match="Duplicate name"):
        old.writestr("model.onnx", b"x")


def link(file: Path) -> None:
    with zipfile.ZipFile(file, "a") as old:
        entry = zipfile.ZipInfo("lib")
        entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        old.writestr(entry, "/etc")


def bomb(name: str, size: int = 10_000_000) -> Callable[[Path], object]:
    """A file becomes many zeros; its size in the table of contents stays."""

    def damage(file: Path) -> None:
        with zipfile.ZipFile(file) as old:
            said = old.getinfo(name).file_size
        rewritten(file, lambda entries: entries.update({name: bytes(size)}))
        patched(file, struct.pack("<L", size), struct.pack("<L", said))

    return damage


def listed(name: str) -> Callable[[dict[str, Any]], object]:
    def change(table: dict[str, Any]) -> None:
        table["files"][name], table["sizes"][name] = "0" * 64, 1

    return change


def huge(table: dict[str, Any]) -> None:
    table["sizes"]["model.onnx"] = 1 << 40


def many_files(table: dict[str, Any]) -> None:
    table["files"] = {f"f{number}": "" for number in range(100_000)}


def bytes_after(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"more")


def bytes_before(file: Path) -> None:
    file.write_bytes(b"#!/bin/sh\n" + file.read_bytes())


def commented(file: Path) -> None:
    with zipfile.ZipFile(file, "a") as old:
        old.comment = b"PK\x05\x06"


def hidden_entries(file: Path) -> None:
    """The end of the file says that its table has one entry; it has all of them."""
    content = file.read_bytes()
    file.write_bytes(content[:-14] + struct.pack("<2H", 1, 1) + content[-10:])


def sized_elsewhere(file: Path) -> None:
    with zipfile.ZipFile(file, "a") as old:
        entry = zipfile.ZipInfo("model.sig")
        entry.extra = struct.pack("<2HB", 0x9999, 1, 0) + struct.pack("<2HQ", 1, 8, 5)
        old.writestr(entry, b"{}")


def many_entries(file: Path) -> None:
    with zipfile.ZipFile(file, "a") as old:
        for number in range(10_000):
            old.writestr(f"{number}", b"")


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda file: file.write_bytes(b""), "is not a whole zip: it does not end as one"),
    "text": (lambda file: file.write_text("PK"), "is not a whole zip"),
    "truncated": (truncate, "is not a whole zip"),
    "a bit flipped": (flip, "is not a whole zip|was changed|does not list"),
    "bytes after": (bytes_after, "is not a whole zip: it does not end as one"),
    "bytes before": (bytes_before, "is not a whole zip: it holds more than its entries"),
    "a comment": (commented, "is not a whole zip"),
    "hidden entries": (hidden_entries, "is not a whole zip: it has 3 entries instead of 1"),
    "an entry of zip64": (sized_elsewhere, "is not a whole zip: 'model.sig' is of the kind zip64"),
    "many entries": (many_entries, r"has 10003 entries; 10000 are the most"),
    "no manifest": (without("manifest.json"), "is not a bundle: it has no manifest.json at its top"),
    "in a folder": (
        lambda file: rewritten(file, lambda e: [e.update({f"b/{n}": e.pop(n)}) for n in list(e)]),
        "has no manifest.json at its top",
    ),
    "no artifact": (without("model.onnx"), "model.onnx is missing in"),
    "a stranger": (with_entry("more"), "holds 'more', which its manifest does not list"),
    "a path that escapes": (with_entry("../escaped"), "holds '../escaped', which its manifest does not list"),
    "an absolute path": (with_entry("/tmp/escaped"), "holds '/tmp/escaped', which its manifest does not list"),
    "an escape that is listed": (with_manifest(listed("../escaped")), "names a file outside of it: ../escaped"),
    "an absolute path that is listed": (with_manifest(listed("/escaped")), "names a file outside of it: /escaped"),
    "a name that cannot be": (with_manifest(listed("a\0b")), r"names a file that cannot be: 'a\\x00b'"),
    "a name that is too long": (with_manifest(listed("n" * 300)), "names a file that cannot be"),
    "a file as folder": (with_manifest(listed("model.onnx/x")), "model.onnx/x is missing|cannot be"),
    "a link": (link, "'lib' in .* is a link"),
    "a name twice": (twice, "holds 'model.onnx' twice"),
    "a size that is not listed": (with_entry("golden.safetensors"), "golden.safetensors in .* has 1 bytes instead of"),
    "a bomb": (bomb("model.onnx"), "is not a whole zip: Bad CRC-32"),
    "a bomb as manifest": (bomb("manifest.json"), "is not a whole zip: Bad CRC-32"),
    "too much": (with_manifest(huge), "bytes; in a zip 4294967296 are the most"),
    "a negative size": (
        with_manifest(lambda table: table["sizes"].update({"model.onnx": -1})),
        "manifest.json is damaged: sizes.model.onnx: Input should be greater",
    ),
    "a huge manifest": (with_entry("manifest.json", bytes(16_000_001)), "has 16000001 bytes; 16000000 are the most"),
    "a manifest of many files": (with_manifest(many_files), "manifest.json is damaged: files: Dictionary should have"),
    "a huge signature": (with_entry("model.sig", bytes(16_000_001)), "holds 'model.sig', which its manifest"),
    "another compression": (
        lambda file: rewritten(file, method=zipfile.ZIP_LZMA),
        "in .* is neither stored nor deflated",
    ),
    "encrypted": (
        lambda file: patched(file, b"PK\x01\x02\x14\x03\x14\x00\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01\x00"),
        "is neither stored nor deflated",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_hostile_zip_gives_one_sentence_and_writes_nothing(
    zipped: Path, own_temporary: Path, tmp_path: Path, damage: str
) -> None:
    change, said = DAMAGES[damage]
    change(zipped)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DeployError, match=said) as found:
        deploypipe.load(zipped)
    assert "\n" not in str(found.value)
    assert str(own_temporary) not in str(found.value)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["model.onnx", "manifest.json"])
def test_no_more_of_a_bomb_is_unpacked_than_its_size(zipped: Path, name: str) -> None:
    bomb(name, 50_000_000)(zipped)
    tracemalloc.start()
    try:
        with pytest.raises(DeployError, match="Bad CRC-32"):
            deploypipe.load(zipped)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_zip64_is_refused(zipped: Path) -> None:
    """Python would follow the record, which is hidden in a comment here, to a table that other readers do not see."""
    with zipfile.ZipFile(zipped, "a") as old:
        entry = zipfile.ZipInfo("z")
        entry.comment = struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 1)
        old.writestr(entry, b"")
    with pytest.raises(DeployError, match="is not a whole zip: it holds more than its entries"):
        deploypipe.load(zipped)


def test_a_signature_travels_in_the_zip(onnx_bundle: Path, tmp_path: Path) -> None:
    (onnx_bundle / "model.sig").write_text("{}")
    archive.pack_zip(onnx_bundle, tmp_path / "x.zip")
    with archive.opened(tmp_path / "x.zip") as (folder, _):
        assert (folder / SIGNATURE).read_text() == "{}"


def test_what_fails_later_names_the_zip_and_not_where_it_was_unpacked(zipped: Path, own_temporary: Path) -> None:
    with pytest.raises(DeployError, match=f"{zipped.name} does not please"), archive.opened(zipped) as (folder, _):
        raise DeployError(f"{folder} does not please")
    assert list(own_temporary.iterdir()) == []


def test_a_verdict_names_the_zip_as_well(onnx_bundle: Path, tmp_path: Path, own_temporary: Path) -> None:
    (onnx_bundle / "model.onnx").write_bytes(b"no model")
    mend(onnx_bundle)
    archive.pack_zip(onnx_bundle, tmp_path / "dead.zip")
    verdict = verify(tmp_path / "dead.zip").verdict
    (failure,) = verdict.failures
    assert not verdict.passed
    assert "model.onnx does not load in ONNX Runtime" in failure
    assert str(own_temporary) not in failure


def test_a_manifest_of_a_newer_format_is_said_so(zipped: Path) -> None:
    with_manifest(lambda table: table.update(deploypipe_bundle=2))(zipped)
    with pytest.raises(DeployError, match=r"bundle.zip has format 2; this deploypipe reads up to 1"):
        deploypipe.load(zipped)


def test_a_folder_is_given_as_it_is(onnx_bundle: Path) -> None:
    with archive.opened(onnx_bundle) as (folder, manifest):
        assert (folder, manifest.model) == (onnx_bundle, "plain")
    edit(onnx_bundle, lambda table: table.update(artifact="other"))
    with pytest.raises(DeployError, match="uses other but does not list it"), archive.opened(onnx_bundle):
        pass
