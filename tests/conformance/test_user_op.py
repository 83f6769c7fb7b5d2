"""An op of a user's own, written the way the tutorial says, in every runtime."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import deploypipe
from deploypipe.oplib import skeleton
from deploypipe.oplib.registry import OpLibrary
from deploypipe.ops import load
from deploypipe.runtimes import NAMES
from deploypipe.target import Target

# What a runtime cannot do, and says so.
DECLINED = {("torchscript", True): "has no decomposed form", ("tflite-runtime", False): "runs no kernels of one's own"}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> OpLibrary:
    folder = tmp_path_factory.mktemp("user")
    skeleton.write("conformleaky", folder)
    return load(folder / "conformleaky")


class Net(torch.nn.Module):
    """A user's op twice, with its default and with another attribute, and an op of the project."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        ops = torch.ops.conformleaky
        return ops.conformleaky(self.linear(ops.conformleaky(x)), 0.3) + torch.ops.deploypipe.square(x[:, :4])


@pytest.mark.slow
@pytest.mark.parametrize("decomposed", [False, True], ids=["native", "decomposed"])
@pytest.mark.parametrize("runtime", NAMES)
def test_a_users_op_is_built_and_verified(library: OpLibrary, runtime: str, decomposed: bool, tmp_path: Path) -> None:
    if reason := DECLINED.get((runtime, decomposed)):
        with pytest.raises(deploypipe.errors.VerdictError, match=reason):
            build(runtime, decomposed, tmp_path)
        return
    (bundle,) = build(runtime, decomposed, tmp_path)
    assert bundle.manifest.verdict is not None
    assert bundle.manifest.verdict.passed
    expected = "decomposed" if decomposed else "native"
    assert {op.name: op.path for op in bundle.manifest.ops} == {
        "conformleaky::conformleaky": expected,
        "deploypipe::square": expected,
    }
    assert len(bundle.manifest.libraries()) == (0 if decomposed else 2)


def build(runtime: str, decomposed: bool, out: Path) -> list[deploypipe.pipeline.Bundle]:
    torch.manual_seed(0)
    table = {"name": "here", "artifact": [{"runtime": runtime, "decomposed": decomposed}]}
    spec = deploypipe.ModelSpec("user", Net(), (torch.randn(3, 6),))
    return deploypipe.build(spec, Target.model_validate(table), out)
