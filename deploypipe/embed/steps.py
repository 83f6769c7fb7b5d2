"""What to do next with a project."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping

from deploypipe.bundle.manifest import Manifest
from deploypipe.embed.project import Project
from deploypipe.native import toolchain

# Package and file of the shared library that the C SDK opens, for runtimes of which an installed package has one.
_LIBRARIES: Mapping[str, tuple[str, str]] = {
    "onnxruntime": ("onnxruntime", "capi/libonnxruntime.so*"),
    "litert": ("ai_edge_litert", "libLiteRt.so"),
    "aotinductor": ("torch", "lib/libtorch_cpu.so"),
}


def steps(project: Project, kind: str) -> list[str]:
    """Returns the commands, one a line; the first goes into the project's folder."""
    return [f"cd {shlex.quote(str(project.place))}", *_STEPS[kind](project.manifest)]


def runtime_library(manifest: Manifest) -> str | None:
    """Returns the shared library of a bundle's runtime, in the package that is installed here."""
    package, pattern = _LIBRARIES.get(manifest.runtime.name, ("", ""))
    folder = toolchain.package_folder(package, None) if package else None
    return next((str(path) for path in sorted(folder.glob(pattern))), None) if folder else None


def _cpp(manifest: Manifest) -> list[str]:
    library = runtime_library(manifest)
    named = [f"-DRUNTIME_LIBRARY={shlex.quote(library)}"] if library else []
    return [
        "deploypipe sdk install sdk",
        " ".join(['cmake -G Ninja -B build -DCMAKE_PREFIX_PATH="$PWD/sdk"', *named]),
        "cmake --build build",
        "ctest --test-dir build --output-on-failure",
        "build/classify IMAGE",
    ]


def _python(_: Manifest) -> list[str]:
    return ["python -m pytest", "python -m server"]


def _browser(_: Manifest) -> list[str]:
    return ["npm install", "npm test", "npm start"]


def _elsewhere(_: Manifest) -> list[str]:
    return ["cat README.md"]


_STEPS: Mapping[str, Callable[[Manifest], list[str]]] = {
    "cpp": _cpp,
    "python": _python,
    "browser": _browser,
    "android": _elsewhere,
    "ios": _elsewhere,
}
