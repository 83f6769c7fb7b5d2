"""Writing a bundle into a model repository, whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from deploypipe import staging
from deploypipe.bundle import archive
from deploypipe.bundle.manifest import GOLDEN, Manifest
from deploypipe.errors import DeployError, VerdictError
from deploypipe.tensors import load_cases
from deploypipe.triton import backends, config
from deploypipe.triton.config import Config

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

# A bundle is one version of a model.
VERSION = "1"
# Triton looks for the data of a warm-up there.
_WARMUP = "warmup"


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        place: The folder of the model.
        config: Its configuration.
    """

    place: Path
    config: Config


def export(bundle: Path, repository: Path, mount: PurePosixPath) -> Exported:
    """Writes the model of a bundle into a repository.

    Args:
        bundle: The bundle's folder, or a zip of it.
        repository: A folder of models; it is made where it is missing.
        mount: Where Triton sees the repository, since it takes the paths of op libraries as they are.

    Raises:
        DeployError: The bundle is damaged, did not pass, or is for a runtime that Triton has not; or the model
            is there already, would lie in the bundle, or cannot be written.
    """
    staging.refuse_inside(repository, bundle)
    with archive.opened(bundle) as (folder, manifest):
        return _export(folder, manifest, repository, mount)


def _export(bundle: Path, manifest: Manifest, repository: Path, mount: PurePosixPath) -> Exported:
    _refuse_failed(manifest)
    backend = backends.of_runtime(manifest.runtime.name)
    arrays = load_cases(bundle / GOLDEN, manifest.inputs, manifest.outputs)[0].inputs
    libraries = {name: PurePosixPath(name).name for name in manifest.libraries()}
    folder = mount / manifest.model / VERSION
    made = config.of_manifest(manifest, backend, arrays, [str(folder / name) for name in libraries.values()])
    place = repository / _checked_name(manifest.model)
    if place.exists() or place.is_symlink():
        raise DeployError(f"{place} is there already", "Name another folder, or remove that model.")
    files = {manifest.artifact: manifest.artifact} | libraries
    with staging.new_folder(place) as new:  # a server that polls never sees half a model
        (new / VERSION).mkdir(parents=True)
        for name, to in files.items():
            shutil.copyfile(bundle / name, new / VERSION / to)
        (new / "config.pbtxt").write_text(made.text())
        _write_labels(made, manifest, new)
        _write_samples(made, arrays, new / _WARMUP)
    return Exported(place, made)


def _refuse_failed(manifest: Manifest) -> None:
    if not manifest.verdict or not manifest.verdict.passed:
        raise VerdictError("The bundle did not pass its verification", "Build it again; `deploypipe inspect` says why.")


def _checked_name(model: str) -> str:
    if PurePosixPath(model).parts != (model,) or model == "..":
        raise DeployError(f"{model!r} cannot be the name of a folder", "Do not trust this bundle.")
    return model


def _write_labels(made: Config, manifest: Manifest, folder: Path) -> None:
    for tensor in made.outputs:
        if tensor.labels:
            labels = manifest.processing.outputs[tensor.own].labels
            (folder / tensor.labels).write_text("".join(f"{' '.join(label.split())}\n" for label in labels))


def _write_samples(made: Config, arrays: Mapping[str, Array], folder: Path) -> None:
    """Writes the inputs of a warm-up: row-major, little-endian; the first row where Triton makes the batch."""
    import numpy as np

    folder.mkdir()
    for tensor in made.inputs:
        array = arrays[tensor.own][0] if made.max_batch else arrays[tensor.own]
        little = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
        (folder / tensor.sample).write_bytes(little.tobytes())
