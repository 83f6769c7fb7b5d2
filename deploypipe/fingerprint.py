"""Digests of models, data and functions: equal digests mean that a stage need not run again."""

from __future__ import annotations

import functools
import hashlib
import inspect
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path, PurePath
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any


class UnknownContentError(TypeError):
    """Something whose content cannot be read; what depends on it is not cached."""


def digest(*values: Any) -> str:
    """Returns a short hex digest of the content of the values.

    Tensors and arrays count by their data, modules by their parameters, settings and source, functions
    by their source and what they close over.

    Raises:
        UnknownContentError: A value of a kind that is not known here.
    """
    sha = hashlib.sha256()
    _feed(sha, values)
    return sha.hexdigest()[:32]


def file_digest(path: Path) -> str:
    """Returns the SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@functools.cache
def package_digest() -> str:
    """Returns a digest of the project's own Python sources."""
    home = Path(__file__).parent
    return digest({str(path.relative_to(home)): file_digest(path) for path in sorted(home.rglob("*.py"))})


def _feed(sha: Any, value: Any) -> None:  # noqa: PLR0911, PLR0912 - one case per kind of value
    sha.update(type(value).__qualname__.encode() + b"(")
    if value is None or isinstance(value, bool | int | float | complex | str | bytes | PurePath):
        sha.update(value if isinstance(value, bytes) else repr(value).encode())
    elif isinstance(value, Mapping):
        for key in sorted(value, key=repr):
            _feed(sha, key)
            _feed(sha, value[key])
    elif isinstance(value, set | frozenset):
        _feed(sha, sorted(value, key=repr))
    elif isinstance(value, list | tuple):
        for item in value:
            _feed(sha, item)
    elif isinstance(value, functools.partial):
        _feed(sha, (value.func, value.args, value.keywords))
    elif isinstance(value, MethodType):
        _feed(sha, (value.__func__, value.__self__))
    elif isinstance(value, FunctionType):
        _feed_function(sha, value)
    elif isinstance(value, ModuleType):
        sha.update(value.__name__.encode())
    elif isinstance(value, type):
        _feed_class(sha, value)
    elif is_dataclass(value):
        _feed_class(sha, type(value))
        _feed(sha, {field.name: getattr(value, field.name) for field in fields(value)})
    else:
        _feed_framework(sha, value)
    sha.update(b")")


def _feed_framework(sha: Any, value: Any) -> None:
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
    elif isinstance(value, torch.dtype | torch.device | torch.Size):
        sha.update(repr(value).encode())
    else:
        raise UnknownContentError(f"a {type(value).__module__}.{type(value).__qualname__} has no known content")


def _feed_module(sha: Any, module: Any) -> None:
    """Feeds a torch module: classes, settings and parameters of it and of every submodule."""
    for name, part in module.named_modules():
        _feed_class(sha, type(part))
        settings = {k: v for k, v in vars(part).items() if not k.startswith("_")}
        _feed(sha, (name, settings, dict(part._parameters), dict(part._buffers)))


def _feed_class(sha: Any, kind: type) -> None:
    sha.update(f"{kind.__module__}.{kind.__qualname__}".encode())
    for base in kind.__mro__[:-1]:
        _feed_home(sha, base)


def _feed_home(sha: Any, kind: Any) -> None:
    """Feeds the source file of a class or function that is not part of an installed package."""
    top = kind.__module__.partition(".")[0]
    if top in sys.stdlib_module_names and top != "__main__":
        return
    try:
        path = Path(inspect.getfile(kind))
    except (TypeError, OSError):
        raise UnknownContentError(f"the source of {kind.__module__}.{kind.__qualname__} is not on disk") from None
    if "site-packages" not in path.parts:
        sha.update(_source_digest(path, path.stat().st_mtime_ns).encode())


@functools.lru_cache(maxsize=1024)
def _source_digest(path: Path, _modified: int) -> str:
    return file_digest(path)


def _feed_function(sha: Any, function: FunctionType) -> None:
    _feed_code(sha, function.__code__)
    _feed_home(sha, function)
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    _feed(sha, (cells, function.__defaults__, function.__kwdefaults__))


def _feed_code(sha: Any, code: CodeType) -> None:
    sha.update(code.co_code)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _feed_code(sha, constant)
        else:
            sha.update(repr(constant).encode())
