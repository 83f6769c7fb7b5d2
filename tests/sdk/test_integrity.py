"""Damaged and hostile bundles: one sentence, the one that Python has too, nothing written outside, nothing left."""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploypipe.bundle import archive
from deploypipe.errors import DeployError
from tests.bundle.damage import edit, flip, mend, truncate

from .capi import BAD_BUNDLE, UNSUPPORTED, Sdk, SdkError

Damage = Callable[[Path], object]
ARTIFACT, GOLDEN = "model.echo", "golden.safetensors"


def refusal(sdk: Sdk, path: Path) -> SdkError:
    """Returns what the SDK says, which has left no temporary folder."""
    with pytest.raises(SdkError) as caught:
        sdk.open(path)
    assert not list(Path(sdk.options["temporary_folder"]).iterdir())
    return caught.value


def in_python(path: Path) -> DeployError:
    with pytest.raises(DeployError) as caught, archive.opened(path):
        pass
    return caught.value


def list_file(name: str) -> Damage:
    def change(table: dict[str, Any]) -> None:
        table["files"][name], table["sizes"][name] = "0", 1

    return lambda bundle: edit(bundle, change)


def replace_by_link(bundle: Path) -> None:
    artifact = bundle / ARTIFACT
    artifact.rename(bundle.parent / "elsewhere")
    artifact.symlink_to(bundle.parent / "elsewhere")


def replace_folder_by_link(bundle: Path) -> None:
    (bundle / "lib").rename(bundle.parent / "elsewhere")
    (bundle / "lib").symlink_to(bundle.parent / "elsewhere")


def swap(bundle: Path) -> None:
    content = (bundle / ARTIFACT).read_bytes()
    (bundle / ARTIFACT).write_bytes(bytes(len(content)))


def unlist(bundle: Path) -> None:
    edit(bundle, lambda table: (table["files"].pop(ARTIFACT), table["sizes"].pop(ARTIFACT)))


DAMAGES: dict[str, Damage] = {
    "no manifest": lambda bundle: (bundle / "manifest.json").unlink(),
    "truncated artifact": lambda bundle: truncate(bundle / ARTIFACT),
    "swapped artifact": swap,
    "changed golden vectors": lambda bundle: flip(bundle / GOLDEN),
    "missing golden vectors": lambda bundle: (bundle / GOLDEN).unlink(),
    "folder instead of file": lambda bundle: ((bundle / ARTIFACT).unlink(), (bundle / ARTIFACT).mkdir()),
    "stranger": lambda bundle: (bundle / "lib" / "evil.so").write_text("x"),
    "link as stranger": lambda bundle: (bundle / "link").symlink_to("/etc"),
    "link": replace_by_link,
    "folder that is a link": replace_folder_by_link,
    "manifest that is a link": lambda bundle: (
        (bundle / "manifest.json").rename(bundle.parent / "m"),
        (bundle / "manifest.json").symlink_to(bundle.parent / "m"),
    ),
    "path escape": list_file("../evil"),
    "absolute path": list_file("/etc/passwd"),
    "backslashes": list_file("..\\evil"),
    "empty name": list_file(""),
    "name too long": list_file("a" * 201),
    "newer format": lambda bundle: edit(bundle, lambda table: table.update(deploypipe_bundle=2)),
    "artifact unlisted": unlist,
    "op library unlisted": lambda bundle: edit(
        bundle, lambda table: table.update(ops=[{"name": "a::b", "path": "native", "library": "lib/a.so"}])
    ),
    "huge manifest": lambda bundle: (bundle / "manifest.json").write_bytes(b" " * 16_000_001),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_the_sentence_is_that_of_python(sdk: Sdk, bundle: Path, damage: Damage) -> None:
    damage(bundle)
    error, expected = refusal(sdk, bundle), in_python(bundle)
    assert (error.message, error.cure) == (expected.message, expected.cure)
    assert error.status == (UNSUPPORTED if "format" in error.message else BAD_BUNDLE)


MANIFESTS = {
    "empty": "",
    "no JSON": "{",
    "truncated": '{"deploypipe_bundle": 1, "model": "a',
    "a list": "[]",
    "a number": "7",
    "deep": "[" * 100_000,
    "deep objects": '{"a":' * 50 + "1" + "}" * 50,
    "a million values": "[" + "0," * 1_000_000 + "0]",
    "no fields": "{}",
    "not UTF-8": b'{"deploypipe_bundle": 1, "model": "\xff\xfe"}',
    "a huge number": '{"deploypipe_bundle": 1e999}',
    "a huge format": '{"deploypipe_bundle": 99999999999999999999}',
}


@pytest.mark.parametrize("content", MANIFESTS.values(), ids=MANIFESTS)
def test_a_manifest_that_is_none(sdk: Sdk, bundle: Path, content: str | bytes) -> None:
    path = bundle / "manifest.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    error = refusal(sdk, bundle)
    assert error.status == BAD_BUNDLE
    assert error.message.startswith(f"{path} is damaged: ")
    assert error.cure == "Build the bundle again."


FIELDS: dict[str, tuple[tuple[str | int, ...], object, str]] = {
    "rank 9": (("inputs", 0, "shape"), [1] * 9, "inputs.0.shape: There are more than 8 axes"),
    "negative size": (("inputs", 0, "shape", 1), -3, "inputs.0.shape.1: A size should not be negative"),
    "unknown dtype": (("outputs", 0, "dtype"), "complex64", "outputs.0.dtype: There is no dtype 'complex64'"),
    "no inputs": (("inputs",), [], "inputs: There should be one at least"),
    "number for text": (("artifact",), 7, "artifact: Input should be a valid string"),
    "fraction": (("inputs", 0, "shape", 1), 1.5, "inputs.0.shape.1: Input should be a valid integer"),
    "huge size": (("sizes", "model.echo"), 1 << 63, "sizes.model.echo: Input should be a valid integer"),
    "version": (("runtime", "min_version"), "new", "runtime.min_version: Invalid version: 'new'"),
    "negative limit": (("limits", "normalized_error"), -1, "limits.normalized_error: Input should be a number that"),
    "many files": (("files",), {str(i): "0" for i in range(10_001)}, "files: There are more than 10000 files"),
    "zero byte": (("files",), {"a\0b": "0"}, "files: A name should have no zero bytes"),
}


@pytest.mark.parametrize(("place", "value", "said"), FIELDS.values(), ids=FIELDS)
def test_a_field_that_cannot_be(sdk: Sdk, bundle: Path, place: tuple[str | int, ...], value: object, said: str) -> None:
    path = bundle / "manifest.json"
    table = json.loads(path.read_text())
    inner = table
    for part in place[:-1]:
        inner = inner[part]
    inner[place[-1]] = value
    path.write_text(json.dumps(table))
    assert refusal(sdk, bundle).message.startswith(f"{path} is damaged: {said}")


def test_a_name_with_an_escape_sequence_does_not_reach_the_terminal(sdk: Sdk, bundle: Path) -> None:
    list_file("a\x1b[2Jb")(bundle)
    assert refusal(sdk, bundle).message == f"The manifest of {bundle} names a file that cannot be: 'a?[2Jb'"


def test_a_bundle_of_too_many_bytes(sdk: Sdk, bundle: Path) -> None:
    with pytest.raises(SdkError, match=rf"The files of {bundle} have \d+ bytes; 1000 are the most"):
        sdk.open(bundle, max_bytes=1000)


def test_sizes_whose_sum_overflows(sdk: Sdk, bundle: Path) -> None:
    edit(bundle, lambda table: table.update(sizes=dict.fromkeys(table["sizes"], (1 << 63) - 1)))
    assert refusal(sdk, bundle).message.startswith(f"The files of {bundle} have 18446744073709551615 bytes; ")


def test_no_bundle_at_all(sdk: Sdk, tmp_path: Path) -> None:
    place = tmp_path / "none"
    assert refusal(sdk, place).message == f"{place} is not a bundle: it has no manifest.json"


def test_a_signature_is_passed_over(sdk: Sdk, bundle: Path) -> None:
    (bundle / "model.sig").write_text("{}")
    sdk.open(bundle).close()


# Zips.


def packed(bundle: Path) -> Path:
    file = bundle.parent / "bundle.zip"
    archive.pack_zip(bundle, file)
    return file


def zipped(bundle: Path, change: Callable[[zipfile.ZipFile], object] = lambda _: None, method: int = 8) -> Path:
    """Zips a folder as it is, and adds to it."""
    file = bundle.parent / "bundle.zip"
    with zipfile.ZipFile(file, "w", method) as made:
        for path in sorted(path for path in bundle.rglob("*") if path.is_file()):
            made.write(path, path.relative_to(bundle).as_posix())
        change(made)
    return file


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_is_a_bundle(sdk: Sdk, bundle: Path, scratch: Path, method: int) -> None:
    model = sdk.open(zipped(bundle, method=method))
    assert model.verify()["passed"]
    (folder,) = scratch.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    model.close()
    assert not list(scratch.iterdir())


def test_what_deploypipe_zip_writes(sdk: Sdk, bundle: Path) -> None:
    (bundle / "model.sig").write_text("{}")
    sdk.open(packed(bundle)).close()


def test_folders_in_a_zip_are_passed_over(sdk: Sdk, bundle: Path) -> None:
    sdk.open(zipped(bundle, lambda made: made.mkdir("empty"))).close()


def entry(name: str, kind: int = 0o100000) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (kind | 0o644) << 16
    return info


ADDED: dict[str, Callable[[zipfile.ZipFile], object]] = {
    "path escape": lambda made: made.writestr(entry("../evil"), "x"),
    "absolute path": lambda made: made.writestr(entry("/tmp/evil"), "x"),
    "stranger": lambda made: made.writestr(entry("evil"), "x"),
    "link": lambda made: made.writestr(entry("lib/link", 0o120000), "/etc"),
    "twice": lambda made: made.writestr(entry(ARTIFACT), "double"),
    "other method": lambda made: made.writestr("evil", "x", zipfile.ZIP_LZMA),
    "many entries": lambda made: [made.writestr(str(i), "") for i in range(10_001)],
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("change", ADDED.values(), ids=ADDED)
def test_the_sentence_for_a_zip_is_that_of_python(
    sdk: Sdk, bundle: Path, change: Callable[[zipfile.ZipFile], object]
) -> None:
    file = zipped(bundle, change)
    before = sorted(bundle.parent.rglob("*"))
    error, expected = refusal(sdk, file), in_python(file)
    assert (error.status, error.message, error.cure) == (BAD_BUNDLE, expected.message, expected.cure)
    assert sorted(bundle.parent.rglob("*")) == before


@pytest.mark.parametrize("name", ["truncated artifact", "swapped artifact", "missing golden vectors", "path escape"])
def test_a_damaged_folder_in_a_zip(sdk: Sdk, bundle: Path, name: str) -> None:
    DAMAGES[name](bundle)
    file = zipped(bundle)
    error, expected = refusal(sdk, file), in_python(file)
    assert (error.status, error.message, error.cure) == (BAD_BUNDLE, expected.message, expected.cure)


def test_a_bomb_is_not_unpacked(sdk: Sdk, bundle: Path) -> None:
    """The manifest lists a file of 5 GB, which 5 MB of the zip would become."""
    list_file("bomb")(bundle)
    edit(bundle, lambda table: table["sizes"].update(bomb=5 << 30))
    error = refusal(sdk, zipped(bundle, lambda made: made.writestr("bomb", bytes(5 << 20))))
    assert "bytes; 4294967296 are the most" in error.message


def test_a_bomb_that_lies_about_its_size(sdk: Sdk, bundle: Path) -> None:
    """The directory promises few bytes, and the data becomes many."""
    (bundle / "lib" / "data.bin").write_bytes(bytes(1 << 20))
    mend(bundle)
    edit(bundle, lambda table: table["sizes"].update({"lib/data.bin": 1000}))
    file = zipped(bundle)
    content = file.read_bytes()
    place = content.rindex(b"lib/data.bin") - 46
    assert content[place : place + 4] == b"PK\x01\x02"
    file.write_bytes(content[: place + 24] + struct.pack("<L", 1000) + content[place + 28 :])
    said = "lib/data.bin has more bytes than the directory says"
    assert refusal(sdk, file).message == f"{file} is not a whole zip: {said}"


CUTS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "no zip": lambda _: b"no zip" * 20,
    "cut off at the end": lambda content: content[:-1],
    "cut off in the middle": lambda content: content[: len(content) // 2],
    "cut off at the beginning": lambda content: content[10:],
    "a comment": lambda content: content[:-2] + b"\x01\x00x",
    "something behind": lambda content: content + b"x",
    "zip64": lambda content: content[:-6] + b"\xff\xff\xff\xff" + content[-2:],
    "changed data": lambda content: content[:60] + bytes([content[60] ^ 1]) + content[61:],
}


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
def test_a_zip_that_is_not_whole(sdk: Sdk, bundle: Path, cut: Callable[[bytes], bytes]) -> None:
    file = packed(bundle)
    file.write_bytes(cut(file.read_bytes()))
    error = refusal(sdk, file)
    assert error.status == BAD_BUNDLE
    assert error.message.startswith(f"{file} is not a whole zip: ")
    assert in_python(file).message.startswith(f"{file} ")


def test_one_part_of_several(sdk: Sdk, bundle: Path) -> None:
    file = packed(bundle)
    content = file.read_bytes()
    file.write_bytes(content[:-18] + b"\x01\x00" + content[-16:])
    assert refusal(sdk, file).message == f"{file} is not a whole zip: it is one part of several"


def test_an_encrypted_zip(sdk: Sdk, bundle: Path) -> None:
    file = packed(bundle)
    content = bytearray(file.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    file.write_bytes(content)
    assert refusal(sdk, file).message == in_python(file).message


def test_a_zip_of_the_folder_instead_of_its_content(sdk: Sdk, bundle: Path) -> None:
    file = bundle.parent / "bundle.zip"
    with zipfile.ZipFile(file, "w") as made:
        made.write(bundle / "manifest.json", "bundle/manifest.json")
    error, expected = refusal(sdk, file), in_python(file)
    assert (error.message, error.cure) == (expected.message, expected.cure)
