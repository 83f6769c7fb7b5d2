"""LiteRT, for phones and browsers: custom ops decomposed for a stock runtime, or run by our kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploypipe import installed
from deploypipe.availability import Availability
from deploypipe.errors import DeployError
from deploypipe.precision import Refusal
from deploypipe.runtimes.protocol import Form, Lowered
from deploypipe.runtimes.tflite import precision

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from deploypipe.capture import Program
    from deploypipe.runtimes.tflite.compiled import CompiledModel, OpEvent, OpTime

    Array = np.ndarray[Any, Any]

NAME = "litert"
DESCRIPTION = "LiteRT (TensorFlow Lite) with XNNPACK, for phones"
ARTIFACT = "model.tflite"
PRECISIONS: tuple[str, ...] = precision.PRECISIONS
REFUSED: Mapping[str, Refusal] = precision.REFUSED
BINDING = "litert"
DECOMPOSES = True
PORTABLE = False
PLANS_MEMORY = False
PACKAGE = "ai-edge-litert"
MIN_VERSION = "2.3"
EXTRA = "litert"


@dataclass(frozen=True)
class LitertSession:
    """A loaded file: one compiled model, or one for each batch that the file has a signature for."""

    artifact: Path
    libraries: tuple[Path, ...]
    batches: tuple[int, ...]
    threads: int
    models: dict[int, CompiledModel] = field(default_factory=dict)

    def run(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """Runs the model once; a batch that the file has no signature for is run in pieces."""
        from deploypipe.runtimes.tflite import batches

        if not all(array.size for array in inputs):
            raise DeployError("LiteRT takes no empty input", "Give at least one row.")
        if not self.batches:
            return self._model(0).run(inputs)
        return batches.run(inputs, self.batches, lambda batch, part: self._model(batch).run(part))

    def profile(self, inputs: Sequence[Array], runs: int) -> list[OpTime]:
        """Returns the time that each operator takes, XNNPACK's own and those of op libraries told apart.

        Args:
            inputs: Of a batch that the file has a signature for, where it is not open.
            runs: Over which the times are averaged.
        """
        return self._model(inputs[0].shape[0] if self.batches else 0).profile(inputs, runs)

    def events(self, inputs: Sequence[Array], runs: int) -> list[tuple[OpEvent, ...]]:
        """Returns what LiteRT's profiler notes of each of some runs; the inputs are those of `profile`."""
        return self._model(inputs[0].shape[0] if self.batches else 0).events(inputs, runs)

    def op_paths(self, inputs: Sequence[Array], ops: Sequence[str]) -> dict[str, str]:
        """Profiles one run: a custom op that has an event of its own is native."""
        from deploypipe.runtimes.tflite.lowerings import code_of

        batch = max(self.batches, default=0)
        sized = [array[:batch] if batch else array for array in inputs]
        model = self._model(min(batch, inputs[0].shape[0]) if batch else 0)
        ran = {each.name.partition(";")[0] for each in model.profile(sized, 1)}
        return {op: "native" if code_of(op) in ran else "decomposed" for op in ops}

    def _model(self, batch: int) -> CompiledModel:
        from deploypipe.runtimes.tflite import batches
        from deploypipe.runtimes.tflite.compiled import CompiledModel

        if batch not in self.models:
            key = batches.key_of(batch) if batch else None
            self.models[batch] = CompiledModel.open(self.artifact, self.libraries, self.threads, key)
        return self.models[batch]


def available() -> Availability:
    """Needs litert-torch to convert and ai-edge-litert to run."""
    return installed.extra(EXTRA)


def version() -> str | None:
    """Returns the installed version."""
    return installed.version(PACKAGE)


def prepare(module: nn.Module, form: Form) -> nn.Module:
    """Puts layers with 8-bit weights in the place of those whose op runs in a kernel."""
    from deploypipe.runtimes.tflite import prepared

    return prepared.of(module, form)


def lower(program: Program, form: Form, artifact: Path) -> Lowered:
    """Converts a program by litert-torch and quantizes it by ai-edge-quantizer."""
    from deploypipe.runtimes.tflite import compact, convert

    file = convert.lower(program, form)
    artifact.write_bytes(compact.written(file.content))
    return file.lowered


def load(artifact: Path, libraries: Sequence[Path], threads: int | None = None) -> LitertSession:
    """Loads a file with the kernels that it calls.

    Raises:
        DeployError: The file is none that LiteRT reads, or a library does not fit.
    """
    from deploypipe.runtimes.tflite import batches, flatbuffer, selftest

    for library in libraries:
        selftest.check(library)
    try:
        model = flatbuffer.parse(artifact.read_bytes())
        keys = [each.signatureKey.decode() for each in model.signatureDefs]
    except Exception as error:
        raise DeployError(
            f"{artifact.name} does not load in LiteRT: it is no model of its", "Build the bundle again."
        ) from error
    # LiteRT says so only when a model runs.
    if not libraries and (missing := flatbuffer.custom_codes(model)):
        raise DeployError(
            f"There is no kernel for {', '.join(missing)} in LiteRT", "Give the model the op library that it needs."
        )
    session = LitertSession(artifact, tuple(libraries), batches.of(keys), threads or 1)
    session._model(session.batches[0] if session.batches else 0)
    return session
