"""tflite-runtime 2.14, for devices that cannot be updated: it runs in an environment and a process of its own.

It needs numpy 1, and it misreads or dies of files that newer tools write. So files pass a gate (tflite/gate.py), and
a crash becomes an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploypipe import environments, installed
from deploypipe.availability import Availability
from deploypipe.environments import Environment
from deploypipe.errors import DeployError
from deploypipe.precision import Refusal
from deploypipe.runtimes.protocol import Form, Lowered
from deploypipe.runtimes.tflite import batches, precision
from deploypipe.runtimes.tflite.legacy_process import LegacyProcess

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from deploypipe.capture import Program

    Array = np.ndarray[Any, Any]

NAME = "tflite-runtime"
DESCRIPTION = "TensorFlow Lite 2.14 in an environment of its own, for devices that cannot be updated"
ARTIFACT = "model.tflite"
PRECISIONS: tuple[str, ...] = ("fp32", "int8-dynamic", "int8-static", "int8-weight")
REFUSED: Mapping[str, Refusal] = {
    "bf16": precision.REFUSED["bf16"],
    "int4-weight": Refusal("TensorFlow Lite 2.14 has no kernel that reads 4-bit weights", "int4-weight on litert"),
}
BINDING = "litert"
DECOMPOSES = True
PORTABLE = False
PLANS_MEMORY = False
PACKAGE = "tflite-runtime"
MIN_VERSION = "2.14"
EXTRA = "litert"


def _probe(python: Path) -> Mapping[str, str]:
    process = LegacyProcess(python)
    try:
        return process.probe()
    finally:
        process.close()


ENVIRONMENT = Environment(NAME, ("tflite-runtime==2.14.0", "numpy==1.26.4"), _probe)


@dataclass(frozen=True)
class TfliteRuntimeSession:
    """A file that is loaded in the other process.

    Attributes:
        process: Where it is loaded.
        batches: Those that it has signatures for; none where the batch is open.
    """

    process: LegacyProcess
    batches: tuple[int, ...]

    def run(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """Runs the model once, or once for each piece of a batch that the file has no signature for."""
        if not all(array.size for array in inputs):
            # Its delegate refuses some, and others give outputs of the size before.
            raise DeployError("tflite-runtime takes no empty input", "Give at least one row.")
        if not self.batches:
            return self.process.run(inputs)
        return batches.run(inputs, self.batches, lambda batch, part: self.process.run(part, batches.key_of(batch)))

    def op_paths(self, inputs: Sequence[Array], ops: Sequence[str]) -> dict[str, str]:
        """There are no custom operators in a file that loads."""
        return dict.fromkeys(ops, "decomposed")


def available() -> Availability:
    """Needs litert-torch to lower, and its environment, whose probe has passed, to run."""
    if version() is None:
        return Availability(False, f"Its environment is not installed. {environments.cure(ENVIRONMENT)}")
    return installed.extra(EXTRA)


def version() -> str | None:
    """Returns the version in the environment."""
    found = environments.find(ENVIRONMENT)
    return found.versions.get(PACKAGE) if found else None


def python() -> Path:
    """Returns the interpreter of the environment.

    Raises:
        DeployError: It is not installed.
    """
    found = environments.find(ENVIRONMENT)
    if found is None:
        raise DeployError("The environment of tflite-runtime is not installed", environments.cure(ENVIRONMENT))
    return found.python


def prepare(module: nn.Module, form: Form) -> nn.Module:
    """Returns the model itself: its ops are decomposed, and quantized with the rest of the file."""
    return module


def lower(program: Program, form: Form, artifact: Path) -> Lowered:
    """Converts the graph with every custom op decomposed, and writes the file once the runtime has loaded it."""
    from deploypipe.runtimes.tflite import compact, convert

    if program.facts.ops and not form.decomposed:
        raise DeployError(
            f"tflite-runtime runs no kernels of one's own, and the model has {', '.join(program.facts.ops)}",
            "Ask for a decomposed graph, or build for the runtime litert.",
        )
    file = convert.lower(program, form, legacy=True)
    check(file.content)
    artifact.write_bytes(compact.written(file.content))
    load(artifact, ()).process.close()
    return file.lowered


def check(content: bytes) -> None:
    """Keeps a file from the runtime that it would misread.

    Raises:
        DeployError: There is something of that kind in it; the text names all of it.
    """
    from deploypipe.runtimes.tflite import gate

    if found := gate.refusals(content):
        raise DeployError(
            f"tflite-runtime 2.14 would fail on this file or misread it. {'. '.join(found)}",
            "Choose another precision, or build for the runtime litert.",
        )


def load(artifact: Path, libraries: Sequence[Path], threads: int | None = None) -> TfliteRuntimeSession:
    """Loads a file in a process of its own; there are no op libraries for this runtime."""
    if not artifact.is_file():
        raise DeployError(f"{artifact.name} is not there", "Build the bundle again.")
    process = LegacyProcess(python())
    try:
        signatures = process.load(artifact, threads)
    except DeployError:
        process.close()
        raise
    return TfliteRuntimeSession(process, batches.of(signatures))
