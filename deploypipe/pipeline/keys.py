"""Cache keys: a digest of everything that a stage's result depends on; None where that cannot be told."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from deploypipe import installed
from deploypipe.fingerprint import UnknownContentError, digest, sources_digest
from deploypipe.spec import ModelSpec
from deploypipe.target import ArtifactRequest, Target

if TYPE_CHECKING:
    from deploypipe.runtimes import Form, Runtime

CAPTURE_SOURCES = ("capture", "layers.py", "oplib", "ops", "predict.py", "spec.py", "tensors.py")
LOWER_SOURCES = ("capture", "layers.py", "oplib", "ops", "precision.py", "runtimes", "tensors.py")
TOOLS = (
    "torch",
    "onnx",
    "onnxscript",
    "onnxruntime",
    "executorch",
    "torchao",
    "numpy",
    "litert-torch",
    "ai-edge-litert",
    "ai-edge-quantizer",
)


def capture(spec: ModelSpec, max_size: int | None, prepared: str | None = None) -> str | None:
    """Key of a captured program: the model's content, its data, the ops that are loaded, how it was prepared."""
    try:
        content = digest({field.name: getattr(spec, field.name) for field in dataclasses.fields(spec)})
    except UnknownContentError:
        return None
    return digest(
        content, max_size, prepared, _loaded_ops(), installed.version("torch"), sources_digest(*CAPTURE_SOURCES)
    )


def prepared(runtime: Runtime, form: Form) -> str:
    """Digest of what is done to a module before the export."""
    versions = {tool: installed.version(tool) for tool in ("torch", "torchao")}
    return digest(runtime.NAME, form.precision, form.kept_float, form.decomposed, versions, sources_digest("runtimes"))


def lower(capture_key: str | None, runtime: Runtime, form: Form) -> str | None:
    """Key of an artifact."""
    if capture_key is None:
        return None
    versions = {tool: installed.version(tool) for tool in TOOLS} | {runtime.PACKAGE: runtime.version()}
    return digest(capture_key, runtime.NAME, dataclasses.asdict(form), versions, sources_digest(*LOWER_SOURCES))


def bundle(
    lower_key: str | None, target: Target, request: ArtifactRequest, ops: Sequence[str], runtime: Runtime
) -> str | None:
    """Key of a verified bundle."""
    if lower_key is None:
        return None
    return digest(lower_key, target.model_dump_json(), request.model_dump(), _native(ops, runtime), sources_digest())


def _loaded_ops() -> dict[str, str]:
    from deploypipe import native
    from deploypipe.oplib import registry

    return {library.namespace: native.digest(library.source) for library in registry.libraries()}


def _native(ops: Sequence[str], runtime: Runtime) -> dict[str, str]:
    """Whether op libraries can be built, since a bundle without them has to be made again once they can."""
    from deploypipe import native

    usable = native.available(runtime.BINDING) if ops else None
    return {runtime.BINDING: usable.reason} if usable else {}
