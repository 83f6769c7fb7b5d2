"""The sources of the C SDK inside a project that builds it itself, with the headers that it needs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from deploypipe.embed.template import Settings
from deploypipe.errors import DeployError
from deploypipe.native import PROJECT, toolchain

_NOT_FOR_APPS = shutil.ignore_patterns("fuzz", "tools", "CMakePresets.json")
_PREFIXES = ("/usr", "/usr/local", "/opt/homebrew", "/home/linuxbrew/.linuxbrew")


def copy_sources(settings: Settings, place: Path) -> None:
    """Copies what a template asks for into a project.

    Raises:
        DeployError: A header is not there.
    """
    for target, source in settings.sources.items():
        _copy(PROJECT.directory / source, place / target)
    if settings.headers:
        for name, path in _headers():
            _copy(path, place / settings.headers / name)


def _headers() -> Iterator[tuple[str, Path]]:
    folders = [Path(prefix) / "include" for prefix in _PREFIXES]
    json = next((folder / "nlohmann" for folder in folders if (folder / "nlohmann" / "json.hpp").is_file()), None)
    if json is None:
        raise DeployError("nlohmann/json.hpp is not there", "Install it, for example nlohmann-json3-dev with apt.")
    yield "nlohmann", json
    runtime = toolchain.ort_headers()
    if runtime is None:
        raise DeployError("The C headers of ONNX Runtime are missing", "Run 'scripts/headers', or set ORT_INCLUDE_DIR.")
    yield "onnxruntime_c_api.h", runtime / "onnxruntime_c_api.h"


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=_NOT_FOR_APPS)
    else:
        shutil.copyfile(source, target)
