"""Loads op libraries into this process: their C++ half into torch, their Python half into the registry."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from deploypipe import native
from deploypipe.errors import DeployError
from deploypipe.oplib import gradients, registry
from deploypipe.oplib.registry import OpLibrary
from deploypipe.oplib.spec import OpSpec

_DIGESTS: dict[str, str] = {}


def load(directory: str | Path) -> OpLibrary:
    """Builds and loads a user's op library; `torch.ops.<directory name>.*` is there afterwards.

    The directory holds `ops.h` and, for each op, one Python file that defines one module-level `OpSpec`.
    Files named `test_*.py`, `conftest.py` or with a leading underscore are not read. Loading the same
    directory again returns the library that is there.

    Args:
        directory: Its name is the namespace of the ops.

    Raises:
        DeployError: The directory is not an op library, does not build, its C++ and Python halves do not
            match, its namespace is taken, or it was changed after it had been loaded.
    """
    source = native.source(Path(directory).resolve())
    if source == native.PROJECT:
        return registry.get(source.namespace)
    if (known := _loaded(source)) is not None:
        return known
    registry.check_free(source)
    return attach(OpLibrary(source, _read_specs(source)))


def attach(library: OpLibrary) -> OpLibrary:
    """Builds the torch library of an op library, loads it, and registers gradients and the library itself."""
    import torch

    binary = native.library("torch", library.source)
    _match(library, native.describe(binary))
    registry.register(library)
    torch_ops: Any = torch.ops
    torch_ops.load_library(str(binary))
    for spec in library.specs:
        gradients.register(library.namespace, spec)
    _DIGESTS[library.namespace] = native.digest(library.source)
    return library


def _loaded(source: native.OpSource) -> OpLibrary | None:
    known = next((lib for lib in registry.libraries() if lib.namespace == source.namespace), None)
    if known is None or known.source.directory != source.directory:
        return None
    if _DIGESTS[source.namespace] != native.digest(source):
        raise DeployError(
            f"The ops in {source.directory} were changed after they had been loaded",
            "Start a new Python process; torch cannot replace ops that are registered.",
        )
    return known


def _read_specs(source: native.OpSource) -> tuple[OpSpec, ...]:
    files = sorted(path for path in source.directory.glob("*.py") if _is_op_file(path))
    return tuple(_spec_of(_import(path, source.namespace)) for path in files)


def _is_op_file(path: Path) -> bool:
    return not path.name.startswith(("test_", "_")) and path.name != "conftest.py"


def _import(path: Path, namespace: str) -> ModuleType:
    """Imports a file under a name of its own, so that two libraries may have files of one name."""
    name = f"deploypipe_ops_{namespace}_{path.stem}"
    found = importlib.util.spec_from_file_location(name, path)
    if found is None or found.loader is None:
        raise DeployError(f"{path} cannot be imported", "Check that it is a readable Python file.")
    module = sys.modules[name] = importlib.util.module_from_spec(found)
    try:
        found.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise DeployError(f"{path} cannot be imported: {type(error).__name__}: {error}", "Mend it.") from error
    return module


def _spec_of(module: ModuleType) -> OpSpec:
    specs = {id(value): value for value in vars(module).values() if isinstance(value, OpSpec)}
    if len(specs) != 1:
        raise DeployError(
            f"{module.__file__} defines {len(specs)} OpSpecs at module level",
            "Write one OpSpec per file; give files without an op a leading underscore.",
        )
    return next(iter(specs.values()))


def _match(library: OpLibrary, description: dict[str, Any]) -> None:
    """Refuses a library whose C++ and Python halves do not name the same ops."""
    native_names = {op["name"] for op in description["ops"] if not op["training"]}
    names = [spec.name for spec in library.specs]
    if extra := sorted(set(names) - native_names):
        raise DeployError(
            f"The op '{extra[0]}' has an OpSpec but is not in {library.source.directory / 'ops.h'}",
            "Add its struct to the list Ops in ops.h, or correct the name in the OpSpec.",
        )
    if missing := sorted(native_names - set(names)):
        raise DeployError(
            f"The op '{missing[0]}' is in {library.source.directory / 'ops.h'} but has no OpSpec",
            "Write a Python file beside it with an OpSpec, or list the op as Training.",
        )
    if len(set(names)) != len(names):
        raise DeployError(f"Two OpSpecs in {library.source.directory} have one name", "Rename one of them.")
