"""The zip files of libtorch: TorchScript modules and packages of AOTInductor."""

from __future__ import annotations

import zipfile
from pathlib import Path


def compress(archive: Path, left_out: tuple[str, ...]) -> None:
    """Writes an archive anew with its records compressed; what loads it unpacks them, whichever tool made it.

    Args:
        archive: It is replaced.
        left_out: Ends of the names of the records that are dropped.
    """
    with zipfile.ZipFile(archive) as file:
        records = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(archive, "w") as file:
        for name, content in records.items():
            if not name.endswith(left_out):
                # A name alone would be given the time of day, and the same model another file.
                file.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED, compresslevel=9)
