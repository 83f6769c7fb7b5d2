"""Digests of models, data and functions: equal digests mean that a stage need not run again."""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from importlib.util import resolve_name
from pathlib import Path, PurePath
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType, NoneType
from typing import Any

from pydantic import BaseModel

_STANDARD = Path(sysconfig.get_path("stdlib"))


class UnknownContentError(TypeError):
    """Something whose content cannot be read; what depends on it is not cached."""


def digest(*values: Any) -> str:
    """Returns a short hex digest of the content of the values.

    Tensors and arrays count by their data, modules by their parameters, settings, hooks and source,
    functions by their source and what they close over. A source counts with the files that it imports,
    except for installed packages.

    Raises:
        UnknownContentError: A value of a kind that is not known here, or that contains itself.
    """
    sha = hashlib.sha256()
    try:
        _feed(values, sha)
    except RecursionError:
        raise UnknownContentError("a value that contains itself has no known content") from None
    return sha.hexdigest()[:32]


def file_digest(path: Path) -> str:
    """Returns the SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@functools.cache
def sources_digest(*parts: str) -> str:
    """Returns a digest of the project's own Python sources: of some files and folders, or of all."""
    home = Path(__file__).parent
    found = {
        path
        for part in parts or (".",)
        for path in ((home / part).rglob("*.py") if (home / part).is_dir() else [home / part])
    }
    return digest({str(path.relative_to(home)): file_digest(path) for path in found})


@functools.singledispatch
def _feed(value: Any, sha: Any) -> None:
    """Feeds the content of a value; kinds that need no framework are registered below."""
    import numpy as np
    import torch

    if isinstance(value, torch.nn.Module):
        _feed_module(sha, value)
    elif isinstance(value, torch.Tensor):
        data = value.detach().cpu().contiguous()
        sha.update(f"{data.dtype}{tuple(data.shape)}".encode())
        sha.update(data.flatten().view(torch.uint8).numpy().tobytes())
    elif isinstance(value, np.ndarray | np.generic):
        sha.update(f"{value.dtype}{value.shape}".encode() + np.ascontiguousarray(value).tobytes())
    elif isinstance(
        value, torch.dtype | torch.device | torch.Size | torch._ops.OpOverload | torch._ops.OpOverloadPacket
    ):
        sha.update(repr(value).encode())
    elif is_dataclass(value):
        _feed(type(value), sha)
        _feed({field.name: getattr(value, field.name) for field in fields(value)}, sha)
    else:
        raise UnknownContentError(f"a {type(value).__module__}.{type(value).__qualname__} has no known content")


@_feed.register(NoneType | bool | int | float | complex | str | PurePath)
def _(value: Any, sha: Any) -> None:
    sha.update(f"{type(value).__qualname__}{value!r};".encode())


@_feed.register
def _(value: bytes, sha: Any) -> None:
    sha.update(b"bytes%d:" % len(value) + value)


@_feed.register(Mapping)
def _(value: Mapping[Any, Any], sha: Any) -> None:
    _feed([(key, value[key]) for key in sorted(value, key=repr)], sha)


@_feed.register
def _(value: BaseModel, sha: Any) -> None:
    _feed((type(value), value.model_dump()), sha)


@_feed.register(set | frozenset)
def _(value: Any, sha: Any) -> None:
    _feed(sorted(value, key=repr), sha)


@_feed.register(list | tuple)
def _(value: Any, sha: Any) -> None:
    sha.update(b"(%d:" % len(value))
    for item in value:
        _feed(item, sha)


@_feed.register(functools.partial)
def _(value: Any, sha: Any) -> None:
    _feed((value.func, value.args, value.keywords), sha)


@_feed.register
def _(value: MethodType, sha: Any) -> None:
    _feed((value.__func__, value.__self__), sha)


@_feed.register
def _(value: FunctionType, sha: Any) -> None:
    _feed_code(sha, value.__code__)
    _feed_home(sha, value)
    cells = [cell.cell_contents for cell in value.__closure__ or ()]
    _feed((cells, value.__defaults__, value.__kwdefaults__), sha)


@_feed.register
def _(value: BuiltinFunctionType, sha: Any) -> None:
    sha.update(f"{value.__module__}.{value.__qualname__}".encode())
    if not isinstance(value.__self__, type | ModuleType):
        _feed(value.__self__, sha)


@_feed.register
def _(value: ModuleType, sha: Any) -> None:
    sha.update(value.__name__.encode())


@_feed.register
def _(value: type, sha: Any) -> None:
    sha.update(f"{value.__module__}.{value.__qualname__}".encode())
    for base in value.__mro__[:-1]:
        _feed_home(sha, base)


def _feed_module(sha: Any, module: Any) -> None:
    """Feeds a torch module: classes, settings and parameters of it and of every submodule."""
    for name, part in module.named_modules():
        _feed(type(part), sha)
        settings = {k: v for k, v in vars(part).items() if not k.startswith("_")}
        hooks = [*part._forward_pre_hooks.values(), *part._forward_hooks.values()]
        _feed((name, settings, dict(part._parameters), dict(part._buffers), hooks), sha)


def _feed_home(sha: Any, kind: Any) -> None:
    """Feeds the source file of a class or function, and those that it imports, but no installed ones."""
    if path := _home(kind):
        for each in _with_imports(path, kind.__module__):
            sha.update(_source_digest(each, each.stat().st_mtime_ns).encode())


def _home(kind: Any) -> Path | None:
    """Returns the source file of a class or function, or None when it is an installed one."""
    try:
        path = Path(inspect.getfile(kind))
        path.stat()
    except (TypeError, OSError):
        top = kind.__module__.partition(".")[0]
        if top in sys.stdlib_module_names and top != "__main__":
            return None
        raise UnknownContentError(f"the source of {kind.__module__}.{kind.__qualname__} is not on disk") from None
    return None if _is_installed(path) else path


def _is_installed(path: Path) -> bool:
    return path.is_relative_to(_STANDARD) or not {"site-packages", "dist-packages"}.isdisjoint(path.parts)


def _with_imports(path: Path, module: str) -> list[Path]:
    """Returns a file and those that it imports, directly or not; the project's own have digests of their own."""
    found = {path}
    waiting = [(path, module)]
    while waiting:
        file, name = waiting.pop()
        package = getattr(sys.modules.get(name), "__package__", None) or ""
        for imported in sorted(_imports(file, package, file.stat().st_mtime_ns)):
            origin = getattr(sys.modules.get(imported), "__file__", None)
            if imported.partition(".")[0] == "deploypipe" or not origin:
                continue
            if (other := Path(origin)) not in found and other.is_file() and not _is_installed(other):
                found.add(other)
                waiting.append((other, imported))
    return sorted(found)


@functools.lru_cache(maxsize=1024)
def _imports(path: Path, package: str, _modified: int) -> frozenset[str]:
    """Returns the names of all modules that a file may import."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())) if path.suffix == ".py" else ():
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (package or not node.level):
            home = resolve_name("." * node.level + (node.module or ""), package)
            names |= {home, *(f"{home}.{alias.name}" for alias in node.names)}
    return frozenset(names)


@functools.lru_cache(maxsize=1024)
def _source_digest(path: Path, _modified: int) -> str:
    return file_digest(path)


def _feed_code(sha: Any, code: CodeType) -> None:
    sha.update(code.co_code)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _feed_code(sha, constant)
        else:
            sha.update(repr(constant).encode())
