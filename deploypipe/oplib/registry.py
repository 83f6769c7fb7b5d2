"""The op libraries of this process, by namespace."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deploypipe.errors import DeployError, nearest

if TYPE_CHECKING:
    from deploypipe.native import OpSource
    from deploypipe.oplib.spec import OpSpec

PROJECT_NAMESPACE = "deploypipe"


@dataclass(frozen=True)
class OpLibrary:
    """Ops of one namespace: where their C++ half lies, and their Python halves.

    Attributes:
        source: Directory with `ops.h`, and the namespace.
        specs: One per op that a model may call; training ops have none.
    """

    source: OpSource
    specs: tuple[OpSpec, ...]

    @property
    def namespace(self) -> str:
        """The namespace in torch and ExecuTorch, and the domain in ONNX."""
        return self.source.namespace

    def find(self, name: str) -> OpSpec | None:
        """Returns the spec of an op of this library by its name, or None."""
        return next((spec for spec in self.specs if spec.name == name), None)


_LIBRARIES: dict[str, OpLibrary] = {}


def register(library: OpLibrary) -> None:
    """Makes a library known; registering the same one again changes nothing.

    Raises:
        DeployError: Another library has that namespace.
    """
    check_free(library.source)
    _LIBRARIES.setdefault(library.namespace, library)


def check_free(source: OpSource) -> None:
    """Raises a DeployError when a library of another directory has the namespace."""
    known = _LIBRARIES.get(source.namespace)
    if known and known.source.directory != source.directory:
        raise DeployError(
            f"The namespace '{source.namespace}' is taken by the ops in {known.source.directory}",
            f"Rename the directory {source.directory}; its name is the namespace.",
        )


def get(namespace: str) -> OpLibrary:
    """Returns a registered library; the project's own is loaded when it is asked for.

    Raises:
        DeployError: No library of that namespace is loaded.
    """
    if namespace == PROJECT_NAMESPACE and namespace not in _LIBRARIES:
        importlib.import_module("deploypipe.ops")
    if namespace not in _LIBRARIES:
        raise DeployError(
            f"There is no op library '{namespace}'",
            f"{nearest(namespace, list(_LIBRARIES))} Load your own with deploypipe.ops.load(directory).",
        )
    return _LIBRARIES[namespace]


def libraries() -> tuple[OpLibrary, ...]:
    """Returns the registered libraries in the order of their namespaces."""
    return tuple(_LIBRARIES[name] for name in sorted(_LIBRARIES))


def for_torch_op(name: str) -> tuple[OpLibrary, OpSpec] | None:
    """Finds the library and spec of a torch op, such as `deploypipe::lltm` or `deploypipe::lltm.default`.

    Returns:
        None for an op of torch itself and for training ops.
    """
    namespace, _, rest = name.partition("::")
    library = _LIBRARIES.get(namespace)
    spec = library.find(rest.partition(".")[0]) if library else None
    return (library, spec) if library and spec else None


def provider(op: str) -> tuple[OpLibrary, OpSpec]:
    """Returns the library and spec of an op that a model uses, such as `deploypipe::lltm`.

    Raises:
        DeployError: No library that is loaded provides it.
    """
    found = for_torch_op(op)
    if found is None:
        raise DeployError(
            f"No op library provides the op {op} of this model",
            "Write it as an op library and call deploypipe.ops.load(DIR) before the model is made.",
        )
    return found


def references(ops: Sequence[str]) -> dict[Any, Callable[..., Any]]:
    """Returns the decomposition of each op, given as `namespace::op`, as `run_decompositions` takes them."""
    import torch

    return {
        getattr(getattr(torch.ops, space), name).default: provider(op)[1].reference
        for op in ops
        for space, name in [op.split("::")]
    }
