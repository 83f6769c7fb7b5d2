"""What every module in this folder provides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from deploypipe.availability import Availability
    from deploypipe.capture import Program
    from deploypipe.layers import LayerState
    from deploypipe.precision import Refusal

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Form:
    """How an artifact is asked for.

    Attributes:
        decomposed: Custom ops are replaced by their reference.
        precision: One of the runtime's `PRECISIONS`.
        batches: The sizes of the batch, where the runtime cannot leave it open.
        kept_float: Layers that stay float, by their paths in the model.
    """

    decomposed: bool = False
    precision: str = "fp32"
    batches: tuple[int, ...] = (1,)
    kept_float: tuple[str, ...] = ()


@dataclass(frozen=True)
class Lowered:
    """What lowering made, beside the artifact itself.

    Attributes:
        notes: Facts for the manifest: instruction set, opset, number of delegates.
        layers: What became of each layer of the model, as found in the artifact.
    """

    notes: Mapping[str, str] = field(default_factory=dict)
    layers: tuple[LayerState, ...] = ()


class Session(Protocol):
    """A loaded artifact."""

    def run(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """Runs the model once: arrays in the order of its inputs, arrays in the order of its outputs."""

    def op_paths(self, inputs: Sequence[Array], ops: Sequence[str]) -> dict[str, str]:
        """Finds out, by one run, what executes each custom op: `native`, `inlined` or `decomposed`."""


class Runtime(Protocol):
    """A runtime: how a program becomes its artifact, and how that artifact is run.

    Attributes:
        NAME: As on the command line.
        DESCRIPTION: One line for `deploypipe runtimes`.
        ARTIFACT: File name of the artifact in a bundle.
        PRECISIONS: What `lower` offers.
        REFUSED: The other precisions, and why it does not offer them.
        BINDING: The op library that serves this runtime, a name of `native.BINDINGS`.
        DECOMPOSES: Custom ops are decomposed unless the target says otherwise.
        PORTABLE: An artifact with custom ops must also run without any op library.
        PLANS_MEMORY: It plans memory for the largest sizes, so a target's `max_size` bounds dynamic axes.
        PACKAGE: The distribution that executes the artifact.
        MIN_VERSION: The oldest version of it that an artifact and its op library run on.
        EXTRA: The extra of deploypipe that installs it, or an empty string.
    """

    NAME: str
    DESCRIPTION: str
    ARTIFACT: str
    PRECISIONS: tuple[str, ...]
    REFUSED: Mapping[str, Refusal]
    BINDING: str
    DECOMPOSES: bool
    PORTABLE: bool
    PLANS_MEMORY: bool
    PACKAGE: str
    MIN_VERSION: str
    EXTRA: str

    def available(self) -> Availability:
        """Tells whether this machine can lower to this runtime and run it."""

    def version(self) -> str | None:
        """Returns the version of `PACKAGE` that executes artifacts here, or None."""

    def prepare(self, module: nn.Module, form: Form) -> nn.Module:
        """Returns what is exported for a form other than fp32; the module that is given does not change."""

    def lower(self, program: Program, form: Form, artifact: Path) -> Lowered:
        """Writes the artifact of a program.

        Raises:
            DeployError: The program cannot be lowered as asked; the text says why.
        """

    def load(self, artifact: Path, libraries: Sequence[Path], threads: int | None = None) -> Session:
        """Loads an artifact with the op libraries that it needs.

        Args:
            artifact: The file.
            libraries: The op libraries.
            threads: Of one run; None leaves it to the runtime. PyTorch and ExecuTorch set it for the process.

        Raises:
            DeployError: The artifact or a library cannot be loaded; the text says why.
        """
