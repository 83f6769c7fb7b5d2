"""Packing: artifact, op libraries and golden vectors become a folder with a manifest."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from deploypipe import installed, native, runtimes
from deploypipe.bundle import integrity
from deploypipe.bundle import manifest as manifests
from deploypipe.bundle.manifest import FORMAT, GOLDEN, Manifest, OpInfo, RuntimeInfo
from deploypipe.bundle.verify import Finding
from deploypipe.errors import DeployError
from deploypipe.oplib import registry
from deploypipe.processing import Processing
from deploypipe.target import BROWSER, ArtifactRequest, Target, platform_of

if TYPE_CHECKING:
    from deploypipe.capture import Program
    from deploypipe.runtimes import Form, Lowered, Runtime


@dataclass(frozen=True)
class Contents:
    """What goes into a bundle.

    Attributes:
        program: The captured model.
        target: Whom it is for.
        request: Which of the target's artifacts this is.
        form: How it was lowered.
        artifact: The lowered file.
        lowered: Facts of the lowering.
        key: Digest of all that the bundle is made from.
    """

    program: Program
    target: Target
    request: ArtifactRequest
    form: Form
    artifact: Path
    lowered: Lowered
    key: str


def pack(contents: Contents, folder: Path) -> Manifest:
    """Fills an empty folder; the manifest has no verdict yet.

    Raises:
        DeployError: A custom op has no library for this runtime, and the runtime cannot do without.
    """
    runtime = runtimes.get(contents.request.runtime)
    facts = contents.program.facts
    shutil.copyfile(contents.artifact, folder / runtime.ARTIFACT)
    shutil.copyfile(contents.program.folder / GOLDEN, folder / GOLDEN)
    ops = tuple(_op(name, runtime, contents, folder) for name in facts.ops)
    files, sizes = integrity.listing(folder)
    manifest = Manifest(
        deploypipe_bundle=FORMAT,
        model=contents.program.spec.name,
        target=contents.target.name,
        platform=platform_of(contents.target),
        request=contents.request,
        runtime=_runtime_info(runtime, contents.lowered),
        artifact=runtime.ARTIFACT,
        ops=ops,
        inputs=facts.inputs,
        outputs=facts.outputs,
        axes=facts.axes,
        processing=contents.program.spec.processing or Processing(),
        layers=contents.lowered.layers,
        limits=contents.target.limits.resolve(contents.request.precision),
        budgets=contents.target.budgets,
        finite_inputs=_finite(facts.ops),
        sizes=sizes,
        files=files,
        built_by=_versions(),
        key=contents.key,
    )
    manifests.write(manifest, folder)
    return manifest


def seal(manifest: Manifest, finding: Finding, folder: Path) -> Manifest:
    """Writes the verdict, and the path that each op was found to take, into the manifest."""
    ops = tuple(op.model_copy(update={"path": _path(op, finding)}) for op in manifest.ops)
    sealed = manifest.model_copy(update={"ops": ops, "verdict": finding.verdict})
    manifests.write(sealed, folder)
    return sealed


def _path(op: OpInfo, finding: Finding) -> str:
    found = finding.paths[op.name]
    return op.path if op.path == "decomposed" and found != "native" else found


def _op(name: str, runtime: Runtime, contents: Contents, folder: Path) -> OpInfo:
    if contents.form.decomposed:
        who = "by default" if runtime.DECOMPOSES else "because the target asks for it"
        return OpInfo(name=name, path="decomposed", reason=f"{runtime.NAME} decomposes it {who}")
    if contents.target.platform == BROWSER:
        return OpInfo(name=name, path="inlined", reason="A browser loads no op library")
    usable = native.available(runtime.BINDING)
    if not usable.ok and runtime.PORTABLE:
        return OpInfo(name=name, path="inlined", reason=usable.reason)
    if not usable.ok:
        raise DeployError(f"{name} cannot be built for {runtime.NAME}", usable.reason)
    library = native.library(runtime.BINDING, registry.provider(name)[0].source)
    (folder / "lib").mkdir(exist_ok=True)
    shutil.copyfile(library, folder / "lib" / library.name)
    return OpInfo(name=name, path="native", library=f"lib/{library.name}", abi=native.abi(runtime.BINDING))


def _runtime_info(runtime: Runtime, lowered: Lowered) -> RuntimeInfo:
    return RuntimeInfo(
        name=runtime.NAME,
        package=runtime.PACKAGE,
        min_version=runtime.MIN_VERSION,
        built_with=runtime.version() or "",
        notes=dict(lowered.notes),
    )


def _finite(ops: Sequence[str]) -> bool:
    return any(registry.provider(op)[1].finite for op in ops)


def _versions() -> dict[str, str]:
    names = (
        "deploypipe",
        "torch",
        "onnx",
        "onnxscript",
        "onnxruntime",
        "executorch",
        "torchao",
        "litert-torch",
        "ai-edge-quantizer",
    )
    versions = {name: found for name in names if (found := installed.version(name))}
    return versions | {"python": platform.python_version(), "numpy": metadata.version("numpy")}
