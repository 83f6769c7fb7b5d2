"""Small libraries of deploypipe's own, built with CMake from a folder of csrc: no app and no bundle holds them."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploypipe import cache, fingerprint
from deploypipe.native import compile as compiling
from deploypipe.native import toolchain
from deploypipe.native.sources import PROJECT


def helper(folder: str, file: str, settings: Mapping[str, object], uses: Sequence[str] = ()) -> Path:
    """Returns a library, building it when it is not there yet.

    Args:
        folder: Of csrc, with a CMakeLists.txt.
        file: That it builds.
        settings: Variables of CMake.
        uses: Other folders of csrc that it takes headers from.

    Raises:
        DeployError: The build failed.
    """
    source, compiler = PROJECT.directory / folder, compiling.compiler_path(None)
    digests = [_digests(PROJECT.directory / each) for each in (folder, *uses)]
    tools = (compiler, toolchain.compiler_version(compiler), {name: str(value) for name, value in settings.items()})
    work = cache.root() / "native-trees" / fingerprint.digest(folder, str(source), *tools)
    make = functools.partial(_make, work, source, file, settings)
    with compiling.locked(work):
        return cache.stage(folder, fingerprint.digest(digests, *tools), make)[0].resolve() / file


def _digests(folder: Path) -> dict[str, str]:
    return {path.name: fingerprint.file_digest(path) for path in folder.iterdir() if path.is_file()}


def _make(work: Path, source: Path, file: str, settings: Mapping[str, object], into: Path) -> None:
    cmake, log = toolchain.tool("cmake") or "cmake", work / "build.log"
    tools = {"CMAKE_CXX_COMPILER": compiling.compiler_path(None), "CMAKE_MAKE_PROGRAM": toolchain.tool("ninja")}
    given = [f"-D{name}={value}" for name, value in {**tools, **settings}.items()]
    log.write_text("")
    for command in (
        [cmake, "-G", "Ninja", "-S", str(source), "-B", str(work), *given],
        [cmake, "--build", str(work), "-j", str(os.cpu_count() or 1)],
    ):
        compiling.run(command, log, file)
    shutil.copy2(work / file, into)
