"""Loading a bundle: `deploypipe.load`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.version import Version

from deploypipe import environments, installed, runtimes
from deploypipe.bundle import integrity
from deploypipe.bundle.manifest import Manifest
from deploypipe.errors import DeployError
from deploypipe.target import this_platform
from deploypipe.tensors import check_inputs, refuse_non_finite

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Model:
    """A bundle that is loaded and ready to run.

    Attributes:
        path: The bundle.
        manifest: What it says about itself.
        session: The artifact in its runtime.
    """

    path: Path
    manifest: Manifest
    session: runtimes.Session

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
                undefined for it.
        """
        import numpy as np

        arrays = check_inputs(self.manifest.inputs, self.manifest.axes, inputs)
        if self.manifest.finite_inputs:
            refuse_non_finite(self.manifest.inputs, arrays)
        outputs = self.session.run([np.asarray(array, order="C") for array in arrays])
        return {info.name: array for info, array in zip(self.manifest.outputs, outputs, strict=True)}


def load(path: str | Path, native: bool = True) -> Model:
    """Loads a bundle into its runtime, after checking every file of it.

    Args:
        path: The bundle's folder.
        native: False leaves its op libraries out, for runtimes that can run without.

    Raises:
        DeployError: The bundle is damaged, is for another platform, or its runtime is missing or of
            a version that its op library was not built for.
    """
    bundle = Path(path).resolve()
    manifest = integrity.check(bundle)
    _check_host(manifest)
    runtime = runtimes.get(manifest.runtime.name)
    if not native and not runtime.PORTABLE:
        raise DeployError(f"A bundle for {runtime.NAME} cannot run without its op library", "Leave native at True.")
    libraries = [bundle / name for name in manifest.libraries()] if native else []
    return Model(bundle, manifest, runtime.load(bundle / manifest.artifact, libraries))


def _check_host(manifest: Manifest) -> None:
    package, wanted = manifest.runtime.package, manifest.runtime.min_version
    found = runtimes.get(manifest.runtime.name).version()
    if found is None:
        raise DeployError(f"{package} is not installed", _installation(manifest))
    if Version(Version(found).base_version) < Version(wanted):
        raise DeployError(f"The bundle needs {package} {wanted}; {found} is installed", "Install a newer one.")
    if manifest.libraries() and manifest.platform != this_platform():
        raise DeployError(
            f"The op library of this bundle is for {manifest.platform}; this is {this_platform()}",
            "Build it for this platform.",
        )
    _check_abi(manifest)


def _installation(manifest: Manifest) -> str:
    own = getattr(runtimes.get(manifest.runtime.name), "ENVIRONMENT", None)
    if own:
        return environments.cure(own)
    return f"Run `pip install {manifest.runtime.package}=={manifest.runtime.built_with}`."


def _check_abi(manifest: Manifest) -> None:
    """Refuses a library before the runtime loads it, since an ABI mismatch may end the process."""
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
