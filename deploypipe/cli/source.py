"""A model that a user's file makes: `path/to/file.py:function`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from deploypipe.errors import DeployError, first_line, nearest

if TYPE_CHECKING:
    from deploypipe.spec import ModelSpec


def is_file_model(name: str) -> bool:
    """Tells a `file.py:function` from the name of a model of the project."""
    return ".py" in name or ":" in name


def load_function(name: str) -> ModelSpec:
    """Imports the file, calls the function and returns its ModelSpec.

    Raises:
        DeployError: There is no such file or function, it fails, or it returns something else.
    """
    from deploypipe.spec import ModelSpec

    path, _, function = name.rpartition(":")
    if not path or not function:
        raise DeployError(f"'{name}' names no function", "Write FILE.py:FUNCTION.")
    module = _imported(Path(path))
    if not callable(getattr(module, function, None)):
        known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise DeployError(f"{path} has no function '{function}'", nearest(function, known))
    try:
        spec = getattr(module, function)()
    except DeployError:
        raise
    except (Exception, SystemExit) as error:
        raise DeployError(f"{name} fails: {type(error).__name__}: {first_line(error)}", "Mend it.") from error
    if not isinstance(spec, ModelSpec):
        raise DeployError(f"{name} returns a {type(spec).__name__}", "Return a deploypipe.ModelSpec.")
    return spec


def _imported(path: Path) -> ModuleType:
    if not path.is_file():
        raise DeployError(f"There is no file {path}", "Write FILE.py:FUNCTION with a path from here.")
    name = _free_name(path.resolve())
    found = importlib.util.spec_from_file_location(name, path.resolve())
    if found is None or found.loader is None:
        raise DeployError(f"{path} is not a Python file", "Write FILE.py:FUNCTION.")
    sys.path.insert(0, str(path.resolve().parent))
    module = sys.modules[name] = importlib.util.module_from_spec(found)
    try:
        found.loader.exec_module(module)
    except DeployError:
        raise
    except (Exception, SystemExit) as error:
        text = f"{path} cannot be imported: {type(error).__name__}: {first_line(error)}"
        raise DeployError(text, "Mend it.") from error
    return module


def _free_name(path: Path) -> str:
    """Returns a module name that hides no other module: neither a standard one nor another file's."""
    name = path.stem
    while name in sys.stdlib_module_names or getattr(sys.modules.get(name), "__file__", str(path)) != str(path):
        name += "_"
    return name
