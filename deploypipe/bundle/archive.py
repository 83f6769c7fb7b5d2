"""A bundle as one file: a zip with the manifest at its top. What a zip says is checked before anything is unpacked."""

from __future__ import annotations

import os
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from deploypipe import staging
from deploypipe.bundle import integrity
from deploypipe.bundle import manifest as manifests
from deploypipe.bundle.manifest import FILE, MAX_FILES, SIGNATURE, Manifest
from deploypipe.errors import DeployError, first_line

# Of all files of a zip together, unpacked; more than `MAX_PACKED` would need zip64, which not every reader knows.
MAX_BYTES, MAX_PACKED = 4 << 30, 2_000_000_000
# Of a signature and of the table of contents, which no manifest lists.
MAX_SIGNATURE, MAX_TABLE = 16_000_000, 4_000_000
DISTRUST = "Do not trust this bundle."
_FIRST_DATE = (1980, 1, 1, 0, 0, 0)
# The last record of a zip without a comment: signature, disks, entries, size and place of the table, comment length.
_END = struct.Struct("<4s4H2LH")
_LOCATOR = 20  # bytes of the record before it that leads to a table of zip64
_ZIP64 = 1  # the kind of extra field that holds sizes and the place of an entry of zip64
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_CHUNK = 1 << 20


def pack_zip(bundle: Path, file: Path) -> None:
    """Writes a bundle as a zip; one bundle gives the same bytes each time.

    Args:
        bundle: Its folder.
        file: Is written whole or not at all.

    Raises:
        DeployError: The bundle is damaged, is too large for a zip, or the file cannot be written where it is to be.
    """
    manifest = integrity.check(bundle)
    staging.refuse_inside(file, bundle)
    try:
        with tempfile.TemporaryDirectory(prefix=".staging-", dir=file.absolute().parent) as folder:
            made = Path(folder) / "bundle.zip"
            write_zip(bundle, manifest, made)
            made.replace(file)
    except OSError as error:
        raise DeployError(f"{file} cannot be written: {error.strerror}", "Choose another file.") from None


def write_zip(bundle: Path, manifest: Manifest, file: Path) -> None:
    """Writes the zip of a bundle that was checked, at a place where half a file does no harm.

    Args:
        bundle: Its folder.
        manifest: What the check gave.
        file: Is written over.

    Raises:
        DeployError: The bundle is too large for a zip.
        OSError: The file cannot be written.
    """
    _check_total(manifest, bundle, MAX_PACKED)
    names = {name for name in (FILE, SIGNATURE, *manifest.files) if (bundle / name).is_file()}
    if len(names) > MAX_FILES:
        raise DeployError(f"{bundle} has {len(names)} files; in a zip {MAX_FILES} are the most", "Use its folder.")
    with zipfile.ZipFile(file, "w") as archive:
        for name in sorted(names):
            entry = zipfile.ZipInfo(name, _FIRST_DATE)
            entry.create_system, entry.external_attr = 3, (stat.S_IFREG | 0o644) << 16
            entry.compress_type, entry.file_size = zipfile.ZIP_DEFLATED, (bundle / name).stat().st_size
            with (bundle / name).open("rb") as source, archive.open(entry, "w") as target:
                shutil.copyfileobj(source, target, _CHUNK)


@contextmanager
def opened(path: Path) -> Iterator[tuple[Path, Manifest]]:
    """Gives the checked folder of a bundle; that of a zip is a temporary one and goes at the end.

    Args:
        path: A folder, or a zip of it.

    Raises:
        DeployError: It is damaged or hostile; nothing was written outside of the temporary folder.
    """
    if not path.is_file():
        yield path, integrity.check(path)
        return
    with tempfile.TemporaryDirectory(prefix="deploypipe-") as name:
        try:
            _unpack(path, Path(name))
            yield Path(name), integrity.check(Path(name))
        except DeployError as error:
            if name in error.message:  # which is gone when this is read
                raise DeployError(error.message.replace(name, str(path)), error.cure) from None
            raise


def _unpack(file: Path, folder: Path) -> None:
    try:
        count = _check_end(file)
        with zipfile.ZipFile(file) as archive:
            if len(archive.infolist()) != count:
                raise zipfile.BadZipFile(f"it has {len(archive.infolist())} entries instead of {count}")
            entries = _entries(archive, file)
            manifest = _manifest(archive, entries, file)
            _check_entries(entries, manifest, file)
            for name, entry in entries.items():
                _extract(archive, entry, folder / name)
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError) as error:
        raise DeployError(f"{file} is not a whole zip: {first_line(error)}", integrity.CURE) from None
    except OSError as error:
        raise DeployError(f"{file} cannot be unpacked: {error.strerror or error}", integrity.CURE) from None


def _check_end(file: Path) -> int:
    """Refuses what would let zipfile read a huge table of contents, or another one than other readers do.

    Returns:
        How many entries the table has to have.
    """
    with file.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - _LOCATOR - _END.size))
        tail = stream.read()
    end = tail[-_END.size :]
    if len(end) < _END.size or end[:4] != b"PK\x05\x06":
        raise zipfile.BadZipFile("it does not end as one")
    _, _, _, _, entries, table, place, comment = _END.unpack(end)
    if entries > MAX_FILES or table > MAX_TABLE:
        raise DeployError(f"{file} has {entries} entries; {MAX_FILES} are the most", DISTRUST)
    if place + table + _END.size != size or comment or tail.startswith(b"PK\x06\x07"):
        raise zipfile.BadZipFile("it holds more than its entries")
    return int(entries)


def _entries(archive: zipfile.ZipFile, file: Path) -> dict[str, zipfile.ZipInfo]:
    """Returns the entries that are files, by name."""
    entries: dict[str, zipfile.ZipInfo] = {}
    for entry in archive.infolist():
        name = entry.orig_filename
        if name in entries:
            raise DeployError(f"{file} holds {name!r} twice", DISTRUST)
        if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise DeployError(f"{name!r} in {file} is a link", DISTRUST)
        if entry.flag_bits & 1 or entry.compress_type not in _METHODS:
            raise DeployError(f"{name!r} in {file} is neither stored nor deflated", "Write it with `deploypipe zip`.")
        if _is_zip64(entry):
            raise zipfile.BadZipFile(f"{name!r} is of the kind zip64")
        if not name.endswith("/") or entry.file_size:
            entries[name] = entry
    return entries


def _is_zip64(entry: zipfile.ZipInfo) -> bool:
    """Tells whether an extra field may hold other sizes than those that other readers take."""
    extra = entry.extra
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<2H", extra)
        if kind == _ZIP64:
            return True
        extra = extra[4 + length :]
    return False


def _manifest(archive: zipfile.ZipFile, entries: Mapping[str, zipfile.ZipInfo], file: Path) -> Manifest:
    if FILE not in entries:
        raise DeployError(f"{file} is not a bundle: it has no {FILE} at its top", "Write it with `deploypipe zip`.")
    manifests.check_size(entries[FILE].file_size, file)
    with archive.open(entries[FILE]) as packed:
        content = packed.read(entries[FILE].file_size)  # without a size all would be unpacked that is packed
    manifest = manifests.parse(content, file)
    integrity.check_names(manifest, file)
    _check_total(manifest, file, MAX_BYTES)
    return manifest


def _check_total(manifest: Manifest, bundle: Path, most: int) -> None:
    total = sum(manifest.sizes.values())
    if total > most:
        raise DeployError(f"The files of {bundle} have {total} bytes; in a zip {most} are the most", "Use its folder.")


def _check_entries(entries: Mapping[str, zipfile.ZipInfo], manifest: Manifest, file: Path) -> None:
    """Compares names and sizes with the manifest, so that what is unpacked is known before."""
    for name, entry in entries.items():
        if name == FILE or (name == SIGNATURE and entry.file_size <= MAX_SIGNATURE):
            continue
        if name not in manifest.files:
            raise DeployError(f"{file} holds {name!r}, which its manifest does not list", integrity.CURE)
        if entry.file_size != manifest.sizes.get(name):
            listed = manifest.sizes.get(name)
            raise DeployError(f"{name} in {file} has {entry.file_size} bytes instead of {listed}", integrity.CURE)


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(entry) as source, path.open("xb") as target:
        shutil.copyfileobj(source, target, _CHUNK)
