"""Builds the C SDK with CMake and installs it into the cache; sources that are unchanged are not built again."""

from __future__ import annotations

import functools
import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploypipe import cache, fingerprint
from deploypipe.errors import DeployError
from deploypipe.native import compile as compiling
from deploypipe.native import toolchain
from deploypipe.native.sources import PROJECT, OpSource
from deploypipe.native.toolchain import Lack

BACKENDS = ("onnxruntime", "litert", "aotinductor", "torchscript", "executorch")
"""The runtimes that the SDK can open bundles of."""

BENCH = "bin/dp-bench"

# What a backend is compiled against: the CMake variable, and the function that finds its value for a platform.
_ROOTS: Mapping[str, tuple[str, Callable[[str | None], Path | None]]] = {
    "onnxruntime": ("ORT_INCLUDE_DIR", lambda _: toolchain.ort_headers()),
    "torchscript": ("TORCH_ROOT", functools.partial(toolchain.package_folder, "torch")),
    "executorch": ("EXECUTORCH_ROOT", functools.partial(toolchain.package_folder, "executorch")),
}


@dataclass(frozen=True)
class Sdk:
    """An installed SDK.

    Attributes:
        folder: Holds include/, lib/, bin/, and in lib/ what CMake's find_package and pkg-config read.
        backends: The runtimes that it opens bundles of.
        lacks: Why there is none for the others.
    """

    folder: Path
    backends: tuple[str, ...]
    lacks: Mapping[str, Lack]


def tree(platform: str | None = None, backends: tuple[str, ...] | None = None) -> Path:
    """Returns the folder of the installed SDK; the arguments and errors are those of `build`."""
    return build(platform, backends).folder


def build(platform: str | None = None, backends: tuple[str, ...] | None = None) -> Sdk:
    """Builds and installs the SDK, unless it is there already.

    Args:
        platform: None for this machine, or a platform that has a toolchain file.
        backends: Names of `BACKENDS`; None takes all that can be built here.

    Raises:
        DeployError: Something that the build needs is missing, or the build failed.
    """
    other = None if platform in {None, "host"} or platform == toolchain.host_platform() else platform
    lacks = {name: lack for name in backends or BACKENDS if (lack := _lack_of_backend(name, other))}
    for lack in (_lack(other), *(lacks.values() if backends else ())):
        if lack:
            raise lack.error()
    chosen = tuple(name for name in backends or BACKENDS if name not in lacks)
    return Sdk(_stage(other, chosen), chosen, lacks)


def bench_files(tree: Path) -> dict[str, Path]:
    """Returns what `dp-bench` of an installed SDK needs on another machine, by the names inside the folder."""
    libraries = [path for path in (tree / "lib").glob("*.so*") if path.is_file()]
    return {str(path.relative_to(tree)): path for path in (tree / BENCH, *libraries)}


def sysroot(platform: str) -> Path | None:
    """Returns the folder with zlib for another platform: named by a variable, or made by scripts/sysroot."""
    named = os.environ.get(_sysroot_variable(platform))
    places = [Path(named)] if named else [Path(sys.prefix) / "sysroot" / platform]
    return next((place for place in places if (place / "include" / "zlib.h").is_file()), None)


def _sysroot_variable(platform: str) -> str:
    return "DEPLOYPIPE_SYSROOT_" + re.sub(r"\W", "_", platform).upper()


def _source() -> Path:
    return PROJECT.directory / "sdk"


def _as_source() -> OpSource:
    """The SDK as far as checks of the toolchain are concerned: C++ without kernels, which need one header more."""
    return OpSource(_source(), "deploypipe")


def _lack(platform: str | None) -> Lack | None:
    if not (_source() / "CMakeLists.txt").is_file():
        return Lack("The C++ sources of the SDK are missing", "Install deploypipe from its checkout: pip install -e .")
    if lack := toolchain.missing(toolchain.STANDALONE, platform, _as_source()):
        return lack
    if platform is not None and sysroot(platform) is None:
        cure = f"Run 'scripts/sysroot', or set {_sysroot_variable(platform)} to a folder that has it."
        return Lack(f"There is no zlib for {platform}", cure)
    return None


def _lack_of_backend(name: str, platform: str | None) -> Lack | None:
    if name not in BACKENDS or not (_source() / "backends" / f"{name}.cpp").is_file():
        return Lack(f"The SDK has no backend '{name}'", f"Known are: {', '.join(BACKENDS)}.")
    if name not in _ROOTS:
        return None
    return toolchain.missing("torch" if name == "torchscript" else name, platform, _as_source())


def _stage(platform: str | None, backends: tuple[str, ...]) -> Path:
    compiler = compiling.compiler_path(platform)
    settings = _settings(platform, backends)
    versions = [toolchain.installed_version(name) for name in ("torch", "executorch")]
    tools = (toolchain.compiler_version(compiler), settings, versions)
    work = cache.root() / "native-trees" / fingerprint.digest("sdk", str(_source()), platform, compiler)
    key = fingerprint.digest(_digest(), *tools)
    with compiling.locked(work):
        return cache.stage("sdk", key, functools.partial(_make, work, settings))[0]


def _digest() -> str:
    """Returns a digest of all sources of the SDK, which shares its account of LiteRT with the binding."""
    folders = (_source(), PROJECT.directory / "bindings", PROJECT.directory / "toolchains")
    found = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    digests = {str(path.relative_to(PROJECT.directory)): fingerprint.file_digest(path) for path in found}
    return fingerprint.digest(digests)


def _settings(platform: str | None, backends: tuple[str, ...]) -> list[str]:
    settings: dict[str, object] = {
        "CMAKE_MAKE_PROGRAM": toolchain.tool("ninja"),
        "CMAKE_INSTALL_LIBDIR": "lib",
        "SDK_BACKENDS": ";".join(backends),
    }
    for name, (variable, find) in _ROOTS.items():
        settings[variable] = (find(platform) if name in backends else None) or ""
    settings["EXECUTORCH_VERSION"] = toolchain.abi("executorch")["executorch"] if "executorch" in backends else ""
    if platform is None:
        settings["CMAKE_CXX_COMPILER"] = compiling.compiler_path(platform)
    else:
        settings["CMAKE_TOOLCHAIN_FILE"] = toolchain.toolchain_file(platform)
        settings["CMAKE_PREFIX_PATH"] = sysroot(platform)
    return [f"-D{name}={value}" for name, value in settings.items()]


def _make(work: Path, settings: list[str], into: Path) -> None:
    cmake = toolchain.tool("cmake") or "cmake"
    log = work / "build.log"
    log.write_text("")
    for command in (
        [cmake, "-G", "Ninja", "-S", str(_source()), "-B", str(work), *settings],
        [cmake, "--build", str(work), "-j", str(os.cpu_count() or 1)],
        [cmake, "--install", str(work), "--prefix", str(into), "--strip"],
    ):
        compiling.run(command, log, "the SDK")


def copy(sdk: Sdk, folder: Path) -> None:
    """Copies an installed SDK to a folder, over an older one that is there.

    Raises:
        DeployError: Something else is there, or the folder cannot be written.
    """
    try:
        if not (folder / "include" / "deploypipe").is_dir() and folder.exists() and any(folder.iterdir()):
            raise DeployError(f"{folder} is not empty and holds no SDK", "Name a new folder.")
        for path in sdk.folder.rglob("*"):
            if path.is_symlink() or path.is_file():
                _replace(path, folder / path.relative_to(sdk.folder))
    except OSError as error:
        raise DeployError(f"{folder} cannot be written: {error.strerror}", "Name another folder.") from None


def _replace(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    shutil.copy2(path, target, follow_symlinks=False)
