"""The configuration of a model, `config.pbtxt`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.version import Version

from deploypipe import templates
from deploypipe.predict import batch_axis
from deploypipe.triton.backends import Backend
from deploypipe.triton.datatypes import datatype

if TYPE_CHECKING:
    import numpy as np

    from deploypipe.bundle.manifest import Manifest
    from deploypipe.tensors import TensorInfo

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Tensor:
    """An input or output as Triton describes it.

    Attributes:
        name: Triton's.
        own: The manifest's.
        type: `TYPE_FP32`.
        dims: Without the batch; -1 for an open axis.
        scalar: The model takes no axis beside the batch, which Triton cannot say but by a reshape.
        labels: Its file of labels, or an empty string.
        sample: Its file of an example, for a warm-up.
        sizes: Of the example, without the batch.
    """

    name: str
    own: str
    type: str
    dims: tuple[int, ...]
    scalar: bool
    labels: str = ""
    sample: str = ""
    sizes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Config:
    """What `config.pbtxt` says.

    Attributes:
        model: Its name.
        artifact: Its file.
        backend: That runs it.
        max_batch: The most rows of a run; 0 where Triton must not batch.
        inputs: In the order of the model.
        outputs: In the order of the model.
        libraries: Op libraries, by the paths that Triton sees.
        needs: What the server must be.
    """

    model: str
    artifact: str
    backend: Backend
    max_batch: int
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    libraries: tuple[str, ...]
    needs: str

    @property
    def environment(self) -> dict[str, str]:
        """What Triton must be started with: op libraries that its backend does not register itself."""
        if not self.libraries or self.backend.registers:
            return {}
        folder = f"/opt/tritonserver/backends/{self.backend.name}"
        return {"LD_LIBRARY_PATH": f"{folder}:$LD_LIBRARY_PATH", "LD_PRELOAD": ":".join(self.libraries)}

    def text(self) -> str:
        """Returns it in protobuf's text format."""
        template = templates.environment(Path(__file__).parent).get_template("config.pbtxt.jinja")
        return str(template.render(config=self))


def of_manifest(manifest: Manifest, backend: Backend, arrays: dict[str, Array], libraries: Sequence[str]) -> Config:
    """Describes a bundle.

    Args:
        manifest: Of the bundle.
        backend: That will run it.
        arrays: An example of each input.
        libraries: Op libraries, by the paths that Triton sees.

    Raises:
        DeployError: Triton has no name for a dtype.
    """
    max_batch = _max_batch(manifest, backend)
    start = 1 if max_batch else 0
    inputs = [
        _tensor(info, name, start, sample=f"input_{number}.bin", sizes=arrays[info.name].shape[start:] or (1,))
        for number, (info, name) in enumerate(_named(backend, "INPUT", manifest.inputs))
    ]
    labelled = manifest.processing.outputs
    outputs = [
        _tensor(info, name, start, labels=f"output_{number}.labels.txt" if info.name in labelled else "")
        for number, (info, name) in enumerate(_named(backend, "OUTPUT", manifest.outputs))
    ]
    needs = backend.needs.format(version=_version(manifest))
    return Config(
        manifest.model, manifest.artifact, backend, max_batch, tuple(inputs), tuple(outputs), tuple(libraries), needs
    )


def _named(backend: Backend, side: str, infos: Sequence[TensorInfo]) -> Iterator[tuple[TensorInfo, str]]:
    yield from zip(infos, backend.names(side, infos), strict=True)


def _version(manifest: Manifest) -> str:
    """An op library for torch loads in one version only; what ONNX Runtime loads, newer ones load as well."""
    torch = [op.abi["torch"] for op in manifest.ops if "torch" in op.abi]
    return torch[0] if torch else f"{Version(manifest.runtime.min_version)} or newer"


def _max_batch(manifest: Manifest, backend: Backend) -> int:
    """Triton may batch where one axis leads all tensors, occurs nowhere else, and may be 1."""
    infos = (*manifest.inputs, *manifest.outputs)
    axis = batch_axis(manifest.inputs, manifest.outputs)
    if not backend.batches or axis not in manifest.axes or any(axis in info.shape[1:] for info in infos):
        return 0
    return manifest.axes[axis].max if manifest.axes[axis].min <= 1 else 0


def _tensor(info: TensorInfo, name: str, start: int, **more: Any) -> Tensor:
    dims = tuple(size if isinstance(size, int) else -1 for size in info.shape[start:])
    return Tensor(name, info.name, f"TYPE_{datatype(info.dtype)}", dims or (1,), not dims, **more)
