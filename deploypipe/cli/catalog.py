"""`doctor`, `models`, `targets` and `runtimes`: what there is, told without importing a framework."""

from __future__ import annotations

import platform
import shutil
from typing import Any

from rich.markup import escape

from deploypipe import cache, installed, native, zoo
from deploypipe import runtimes as registry
from deploypipe import target as target_files
from deploypipe.cli import view

TOOLS = ("g++", "cmake", "ninja")
PACKAGES = (
    "deploypipe",
    "torch",
    "numpy",
    "onnx",
    "onnxscript",
    "onnxruntime",
    "executorch",
    "torchao",
    "litert-torch",
    "ai-edge-litert",
    "ai-edge-quantizer",
    "torchvision",
)


def doctor(as_json: bool) -> None:
    """Prints tools, packages, runtimes and op libraries, each with a cure where it is not there."""
    facts: dict[str, Any] = {
        "platform": target_files.this_platform(),
        "python": platform.python_version(),
        "cache": str(cache.root()),
        "tools": {tool: shutil.which(tool) for tool in TOOLS},
        "packages": {package: installed.version(package) for package in PACKAGES},
        "runtimes": {name: _availability(registry.get(name)) for name in registry.NAMES},
        "op_libraries": {binding: _told(native.available(binding)) for binding in native.BINDINGS},
    }
    if as_json:
        view.print_json(facts)
        return
    view.out().print(f"{facts['platform']}, Python {facts['python']}, cache in {facts['cache']}\n")
    found = [(name, version or "[yellow]not installed[/]") for name, version in facts["packages"].items()]
    found += [(name, path or "[yellow]not found[/]") for name, path in facts["tools"].items()]
    view.table("", ["package or tool", "found"], found)
    for title, key in (("runtime", "runtimes"), ("op library for", "op_libraries")):
        view.out().print()
        rows = [(name, view.yes(each["ok"]), escape(each["reason"])) for name, each in facts[key].items()]
        view.table("", [title, "works here", "why not, and what to do"], rows)


def models(as_json: bool) -> None:
    """Prints the models of the project and the data that they are trained on."""
    if as_json:
        view.print_json({"models": zoo.MODELS, "data": zoo.DATA})
        return
    view.table("", ["model", "what it is"], [(name, escape(text)) for name, text in zoo.MODELS.items()])
    view.out().print()
    view.table("", ["data", "what it is"], [(name, escape(text)) for name, text in zoo.DATA.items()])


def targets(as_json: bool) -> None:
    """Prints the targets of the project."""
    loaded = [target_files.load(name) for name in target_files.shipped()]
    if as_json:
        view.print_json([target.model_dump(by_alias=True) for target in loaded])
        return
    rows = [(each.name, ", ".join(a.folder for a in each.artifacts), escape(each.description)) for each in loaded]
    view.table("", ["target", "artifacts", "for"], rows)


def runtimes(as_json: bool) -> None:
    """Prints the runtimes."""
    found = {name: registry.get(name) for name in registry.NAMES}
    if as_json:
        view.print_json({name: _runtime(runtime) for name, runtime in found.items()})
        return
    rows = [
        (
            name,
            runtime.ARTIFACT.removeprefix("model"),
            ", ".join(runtime.PRECISIONS),
            view.yes(runtime.available().ok),
            escape(runtime.available().reason or runtime.DESCRIPTION),
        )
        for name, runtime in found.items()
    ]
    view.table("", ["runtime", "file", "precisions", "works here", "what it is, or why not"], rows)


def _runtime(runtime: registry.Runtime) -> dict[str, Any]:
    return {
        "description": runtime.DESCRIPTION,
        "artifact": runtime.ARTIFACT,
        "precisions": runtime.PRECISIONS,
        **_availability(runtime),
    }


def _availability(runtime: registry.Runtime) -> dict[str, Any]:
    return _told(runtime.available())


def _told(availability: Any) -> dict[str, Any]:
    return {"ok": availability.ok, "reason": availability.reason}
