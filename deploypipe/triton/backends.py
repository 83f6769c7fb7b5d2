"""Which of Triton's backends runs the artifact of a runtime, and what it calls the tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deploypipe.errors import DeployError
from deploypipe.tensors import TensorInfo


@dataclass(frozen=True)
class Backend:
    """A backend of Triton.

    Attributes:
        name: As in `backend`.
        platform: As in `platform`; empty where Triton does without.
        numbered: Tensors are addressed by `INPUT__0` and `OUTPUT__0`, since the artifact has no names for them.
        batches: It takes a batch that Triton made of several requests.
        registers: It loads op libraries that the configuration names; otherwise they must be there before.
        needs: What runs the artifact, in words.
    """

    name: str
    platform: str
    numbered: bool
    batches: bool
    registers: bool
    needs: str

    def names(self, side: str, infos: Sequence[TensorInfo]) -> list[str]:
        """Returns what Triton calls the tensors.

        Args:
            side: `INPUT` or `OUTPUT`.
            infos: In the order of the model.
        """
        return [f"{side}__{number}" if self.numbered else info.name for number, info in enumerate(infos)]


BACKENDS = {
    "onnxruntime": Backend("onnxruntime", "", False, True, True, "ONNX Runtime {version}"),
    "torchscript": Backend("pytorch", "pytorch_libtorch", True, True, False, "libtorch {version}"),
    # Triton's README: batching of compiled models is not finished.
    "aotinductor": Backend(
        "pytorch", "torch_aoti", True, False, False, "Triton 26.05 or newer, with libtorch {version}"
    ),
}
# What to build instead, for the other runtimes.
_NEAREST = "onnxruntime"


def of_runtime(name: str) -> Backend:
    """Returns the backend for a runtime.

    Raises:
        DeployError: Triton has none.
    """
    if name not in BACKENDS:
        raise DeployError(
            f"Triton has no backend for {name}", f"Build the model with `--runtime {_NEAREST}` and export that bundle."
        )
    return BACKENDS[name]
