"""What a build needs: compiler, CMake, ninja, the runtime's headers. Nothing here imports a runtime."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from deploypipe.availability import Availability
from deploypipe.errors import DeployError
from deploypipe.native.sources import PROJECT, OpSource

BINDINGS = ("torch", "onnxruntime", "executorch", "litert")
"""The runtimes that op libraries are built for."""

STANDALONE = "standalone"
"""The binding that needs no runtime (see `native.Standalone`)."""

# The headers' version, so the oldest runtime that the library works with.
_ORT_FLOOR = "1.21"
# The version that csrc/bindings/litert_api.h speaks of, whatever is installed here.
_LITERT = {"ai-edge-litert": "2.3"}
_OLDEST_GCC = 12


@dataclass(frozen=True)
class Lack:
    """Something that a build needs and that is not there.

    Attributes:
        what: One sentence without a final full stop.
        cure: One sentence.
    """

    what: str
    cure: str

    def error(self) -> DeployError:
        """Returns the error that says so."""
        return DeployError(self.what, self.cure)


def known(binding: str) -> str:
    """Returns the binding if there is one of that name."""
    if binding not in {*BINDINGS, STANDALONE}:
        raise DeployError(f"There is no binding '{binding}'", f"Known are: {', '.join(BINDINGS)}.")
    return binding


def available(binding: str) -> Availability:
    """Returns whether op libraries for a runtime can be built here, or the first thing that is missing."""
    lack = missing(known(binding))
    return Availability(True) if lack is None else Availability(False, f"{lack.what}. {lack.cure}")


def missing(binding: str, platform: str | None = None, source: OpSource = PROJECT) -> Lack | None:
    """Returns the first thing that a build lacks, None when it can start."""
    checks: tuple[Callable[[], Lack | None], ...] = (
        _lack_of_sources,
        _lack_of_compiler if platform is None else functools.partial(_lack_of_toolchain, platform),
        functools.partial(_lack_of_tool, "cmake", "cmake"),
        functools.partial(_lack_of_tool, "ninja", "ninja-build"),
        functools.partial(_lack_of_highway, source),
        functools.partial(_lack_of_runtime, binding, platform),
    )
    return next((lack for check in checks if (lack := check())), None)


def abi(binding: str) -> dict[str, str]:
    """Returns the oldest runtime that a library built here works with, as {distribution: version}."""
    if known(binding) == "onnxruntime":
        return {binding: _ORT_FLOOR}
    if binding == "litert":
        return _LITERT
    version = installed_version(binding)
    if version is None:
        raise DeployError(f"{binding} is not installed", _install(binding))
    short = version.partition("+")[0]
    return {binding: short if binding == "executorch" else ".".join(short.split(".")[:2])}


@functools.cache
def installed_version(package: str) -> str | None:
    """Returns the version of an installed package without importing it."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def tool(name: str) -> str | None:
    """Returns the path of a program: of this environment, else of PATH."""
    here = str(Path(sys.prefix) / "bin")
    return shutil.which(name, path=os.pathsep.join([here, os.environ.get("PATH", "")]))


def compiler() -> str | None:
    """Returns the path of the C++ compiler: CXX, else the usual names."""
    names = [os.environ.get("CXX", ""), "g++", "c++", "clang++"]
    return next((path for name in names if name and (path := tool(name))), None)


@functools.cache
def compiler_version(path: str) -> str:
    """Returns the first line of what a compiler says about itself."""
    run = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    return (run.stdout or run.stderr).partition("\n")[0]


def host_platform() -> str:
    """Returns the platform of this machine, as targets name it."""
    from deploypipe.target import this_platform

    return this_platform()


def toolchain_file(platform: str) -> Path:
    """Returns the CMake toolchain file for another platform."""
    return PROJECT.directory / "toolchains" / f"{platform}.cmake"


def cross_compiler(platform: str) -> str:
    """Returns the name of the compiler that a toolchain file asks for."""
    found = re.search(r"CMAKE_CXX_COMPILER ([^)\s]+)\)", toolchain_file(platform).read_text())
    return found.group(1) if found else "c++"


def package_folder(package: str, platform: str | None) -> Path | None:
    """Returns the folder of a runtime's package, for another platform that of its unpacked wheel."""
    if platform is not None:
        folder = os.environ.get(packages_variable(platform))
        return Path(folder) / package if folder and (Path(folder) / package).is_dir() else None
    spec = importlib.util.find_spec(package)
    places = list(spec.submodule_search_locations or []) if spec else []
    return Path(places[0]) if places else None


def packages_variable(platform: str) -> str:
    """Returns the environment variable that names the folder of unpacked wheels for another platform."""
    return "DEPLOYPIPE_PACKAGES_" + re.sub(r"\W", "_", platform).upper()


def ort_headers() -> Path | None:
    """Returns the folder of onnxruntime_c_api.h."""
    return next((place for place in _ort_places() if (place / "onnxruntime_c_api.h").is_file()), None)


def _ort_places() -> Iterator[Path]:
    for include in _include_folders("ORT_INCLUDE_DIR"):
        yield from (include, include / "onnxruntime", include / "onnxruntime" / "core" / "session")


def highway_headers() -> Path | None:
    """Returns the folder that holds hwy/highway.h."""
    folders = _include_folders("HIGHWAY_INCLUDE_DIR")
    return next((folder for folder in folders if (folder / "hwy" / "highway.h").is_file()), None)


def _include_folders(variable: str) -> Iterator[Path]:
    """Yields the folder that an environment variable names, else the usual ones."""
    if named := os.environ.get(variable):
        yield Path(named)
        return
    for prefix in (sys.prefix, "/usr", "/usr/local", "/opt/homebrew", "/home/linuxbrew/.linuxbrew"):
        yield Path(prefix) / "include"


def _install(binding: str) -> str:
    extra = "" if binding == "torch" else f"[{binding}]"
    return f"Install it with 'pip install deploypipe{extra}'."


def _lack_of_sources() -> Lack | None:
    if (PROJECT.directory / "CMakeLists.txt").is_file():
        return None
    return Lack("The C++ sources of the ops are missing", "Install deploypipe from its checkout: pip install -e .")


def _lack_of_compiler() -> Lack | None:
    path = compiler()
    if path is None:
        return Lack("There is no C++ compiler", "Install one, for example with 'apt install g++', or set CXX.")
    found = re.search(r"^(?:g\+\+|c\+\+|\S+-g\+\+)\S* \(.*\) (\d+)", compiler_version(path))
    if found and int(found.group(1)) < _OLDEST_GCC:
        return Lack(f"{path} is g++ {found.group(1)}, too old", f"Install g++ {_OLDEST_GCC} or newer, or set CXX.")
    return None


def _lack_of_toolchain(platform: str) -> Lack | None:
    if not toolchain_file(platform).is_file():
        have = sorted(path.stem for path in toolchain_file(platform).parent.glob("*.cmake"))
        known_here = ", ".join([host_platform(), *have])
        return Lack(f"Op libraries cannot be built for the platform '{platform}'", f"Known here are: {known_here}.")
    name = cross_compiler(platform)
    if tool(name) is None:
        return Lack(f"The compiler {name} is not there", "Install it, for example with apt: g++-aarch64-linux-gnu.")
    return None


def _lack_of_tool(name: str, package: str) -> Lack | None:
    if tool(name):
        return None
    return Lack(f"{name} is not there", f"Install it with 'pip install deploypipe[ops]' or 'apt install {package}'.")


def _lack_of_highway(source: OpSource) -> Lack | None:
    if highway_headers() or not any(source.kernels.glob("*_simd.cpp")):
        return None
    cure = "Run 'scripts/headers', install libhwy-dev (apt) or highway (brew), or set HIGHWAY_INCLUDE_DIR."
    return Lack("The headers of Google Highway are missing", cure)


def _lack_of_runtime(binding: str, platform: str | None) -> Lack | None:
    if binding in {"litert", STANDALONE}:
        return None
    if binding == "onnxruntime":
        return _lack_of_headers()
    if package_folder(binding, platform):
        return None
    if platform is None:
        return Lack(f"{binding} is not installed", _install(binding))
    cure = f"Unpack its wheel for that platform and name the folder in {packages_variable(platform)}."
    return Lack(f"There is no {binding} for {platform}", cure)


def _lack_of_headers() -> Lack | None:
    if ort_headers():
        return None
    cure = "Run 'scripts/headers', or set ORT_INCLUDE_DIR to the folder of onnxruntime_c_api.h."
    return Lack("The C headers of ONNX Runtime are missing", cure)
