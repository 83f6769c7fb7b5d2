"""Loading a bundle: `deploypipe.load`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from packaging.version import Version

from deploypipe import environments, installed, processing, runtimes
from deploypipe.bundle import archive, parity
from deploypipe.bundle.manifest import GOLDEN, Manifest, Verdict
from deploypipe.errors import DeployError, nearest
from deploypipe.target import this_platform
from deploypipe.tensors import check_inputs, load_cases, refuse_non_finite

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


class _Closed:
    """Takes the place of a session that is gone."""

    def run(self, _inputs: Sequence[Array]) -> tuple[Array, ...]:
        raise DeployError("The model is closed", "Load the bundle again.")

    def op_paths(self, _inputs: Sequence[Array], _ops: Sequence[str]) -> dict[str, str]:
        raise DeployError("The model is closed", "Load the bundle again.")


@dataclass
class Model:
    """A bundle that is loaded and ready to run; a context that closes it at its end.

    Attributes:
        path: The bundle's folder.
        manifest: What it says about itself.
        session: The artifact in its runtime.
        native: Its op libraries are in use, where it has some.
        resources: What ends with it: the folder of a bundle that came as a zip.
    """

    path: Path
    manifest: Manifest
    session: runtimes.Session
    native: bool = True
    resources: ExitStack = field(default_factory=ExitStack, repr=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the runtime and of all that was unpacked; a model that is closed does not run."""
        self.session = _Closed()
        self.resources.close()

    def __call__(self, *inputs: Array) -> tuple[Array, ...]:
        """Runs the model: arrays in the order of its inputs, arrays in the order of its outputs.

        Raises:
            DeployError: An input has a wrong dtype or shape, or NaN where an op is undefined for it.
        """
        names = [info.name for info in self.manifest.inputs]
        if len(inputs) != len(names):
            raise DeployError(f"{len(inputs)} inputs were given", f"The model takes {', '.join(names)}.")
        return tuple(self.run(dict(zip(names, inputs, strict=True))).values())

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Runs the model with arrays by name.

        Raises:
            DeployError: An input is missing, or has a wrong dtype or shape, or NaN where an op is
                undefined for it; or the artifact is not the one that the manifest describes.
        """
        import numpy as np

        arrays = check_inputs(self.manifest.inputs, self.manifest.axes, inputs)
        if self.manifest.finite_inputs:
            refuse_non_finite(self.manifest.inputs, arrays)
        outputs = self.session.run([np.asarray(array, order="C") for array in arrays])
        if len(outputs) != len(self.manifest.outputs):
            raise DeployError(
                f"The artifact gives {len(outputs)} outputs; the manifest names {len(self.manifest.outputs)}",
                "Build the bundle again.",
            )
        return {info.name: array for info, array in zip(self.manifest.outputs, outputs, strict=True)}

    def run_image(self, image: Array) -> dict[str, Array]:
        """Prepares an image as the manifest says, and runs the model on it.

        Args:
            image: uint8[H,W], or uint8[H,W,C] with 1 (gray), 3 (RGB) or 4 (RGBA) channels.

        Raises:
            DeployError: It is no such image, or the model does not take one image and nothing else.
        """
        images = self.manifest.processing.inputs
        if len(self.manifest.inputs) != 1 or len(images) != 1:
            raise DeployError(f"{self.manifest.model} does not take one image", "Run it on arrays.")
        return self.run({name: processing.prepare(image, info) for name, info in images.items()})

    def classes(self, output: str, row: Array) -> list[tuple[str, float]]:
        """Names the classes of one row of an output, as label and probability, the most probable first.

        Raises:
            DeployError: The manifest names no classes for that output, or it is not one row of it.
        """
        known = self.manifest.processing.outputs
        if output not in known:
            cure = nearest(output, list(known)) if known else "Name them when the model is built."
            raise DeployError(f"The manifest names no classes for '{output}'", cure)
        return processing.classes(row, known[output])

    def verify(self) -> Verdict:
        """Runs the golden vectors, here and in the form that is loaded, and judges the outputs.

        `deploypipe verify` does more, in a process of its own.

        Raises:
            DeployError: The runtime refuses a run.
        """
        cases = load_cases(self.path / GOLDEN, self.manifest.inputs, self.manifest.outputs)
        return parity.judged(parity.of_outputs(self.manifest, cases, self.native, lambda arrays: self(*arrays)))


def load(path: str | Path, native: bool = True, threads: int | None = None) -> Model:
    """Loads a bundle into its runtime, after checking every file of it.

    Args:
        path: The bundle: its folder, or a zip of it.
        native: False leaves its op libraries out, for runtimes that can run without.
        threads: Of one run; None leaves it to the runtime. PyTorch and ExecuTorch set it for the process.

    Raises:
        DeployError: There are no threads, or the bundle is damaged, is for another platform, or its runtime is
            missing or of a version that its op library was not built for.
    """
    if threads is not None and threads < 1:
        raise DeployError(f"A run cannot have {threads} threads", "Give 1 or more, or None.")
    with ExitStack() as stack:
        bundle, manifest = stack.enter_context(archive.opened(Path(path).resolve()))
        _check_runtime(manifest)
        if native and manifest.libraries():
            _check_libraries(manifest)
        runtime = runtimes.get(manifest.runtime.name)
        if not native and not runtime.PORTABLE:
            raise DeployError(f"A bundle for {runtime.NAME} cannot run without its op library", "Leave native at True.")
        libraries = [bundle / name for name in manifest.libraries()] if native else []
        session = runtime.load(bundle / manifest.artifact, libraries, threads)
        return Model(bundle, manifest, session, native, stack.pop_all())


def _check_runtime(manifest: Manifest) -> None:
    package, wanted = manifest.runtime.package, manifest.runtime.min_version
    found = runtimes.get(manifest.runtime.name).version()
    if found is None:
        raise DeployError(f"{package} is not installed", _installation(manifest))
    if Version(Version(found).base_version) < Version(wanted):
        raise DeployError(f"The bundle needs {package} {wanted}; {found} is installed", "Install a newer one.")


def _installation(manifest: Manifest) -> str:
    own = getattr(runtimes.get(manifest.runtime.name), "ENVIRONMENT", None)
    if own:
        return environments.cure(own)
    return f"Run `pip install {manifest.runtime.package}=={manifest.runtime.built_with}`."


def _check_libraries(manifest: Manifest) -> None:
    """Refuses a library before the runtime loads it, since an ABI mismatch may end the process."""
    if manifest.platform != this_platform():
        raise DeployError(
            f"The op library of this bundle is for {manifest.platform}; this is {this_platform()}",
            "Build it for this platform.",
        )
    for package, built_for in _abis(manifest):
        found = installed.version(package) or "none"
        if not _compatible(package, built_for, found):
            raise DeployError(
                f"The op library of this bundle was built for {package} {built_for}; {found} is installed",
                "Build the bundle again with the version that is installed here.",
            )


def _abis(manifest: Manifest) -> Sequence[tuple[str, str]]:
    return [item for op in manifest.ops if op.library for item in op.abi.items()]


def _compatible(package: str, built_for: str, found: str) -> bool:
    """ONNX Runtime promises that newer versions load older libraries; torch and ExecuTorch do not."""
    if found == "none":
        return False
    here, there = Version(Version(found).base_version).release, Version(built_for).release
    return here >= there if package == "onnxruntime" else here[: len(there)] == there
