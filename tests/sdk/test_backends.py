"""Every backend from one list: the verdict that Python gave for a bundle, and the outputs of `deploypipe.load`."""

from __future__ import annotations

from pathlib import Path

import pytest

import deploypipe
from deploypipe.errors import DeployError

from .running import WITH, WITHOUT, Program, assert_same_outputs, assert_same_verdict, of_zoo, runtime_library

# Runtime, model, whether its ops are decomposed, and the form that runs.
CASES = [
    ("onnxruntime", "lltm", None, WITH),
    ("onnxruntime", "lltm", None, WITHOUT),
    ("onnxruntime", "gcwsnet", None, WITH),
    ("onnxruntime", "gcwsnet", None, WITHOUT),
    ("onnxruntime", "mlp", None, WITHOUT),
    ("litert", "lltm", False, WITH),
    ("litert", "lltm", True, WITHOUT),
    ("litert", "gcwsnet", False, WITH),
    ("litert", "gcwsnet", True, WITHOUT),
    ("litert", "mlp", True, WITHOUT),
    ("aotinductor", "lltm", None, WITH),
    ("aotinductor", "gcwsnet", None, WITH),
    ("aotinductor", "mlp", None, WITHOUT),
    ("torchscript", "lltm", None, WITH),
    ("torchscript", "gcwsnet", None, WITH),
    ("torchscript", "mlp", None, WITHOUT),
    ("executorch", "lltm", False, WITH),
    ("executorch", "lltm", True, WITHOUT),
    ("executorch", "gcwsnet", False, WITH),
    ("executorch", "mlp", True, WITHOUT),
]
# The backends of the others know the place of the runtime that they were built with.
NAMED = {"onnxruntime", "litert", "aotinductor"}


UNSUPPORTED = 3


@pytest.mark.slow
@pytest.mark.parametrize(("runtime", "model", "decomposed", "form"), CASES)
def test_it_says_and_gives_what_python_does(
    program: Program, out: Path, runtime: str, model: str, decomposed: bool | None, form: str
) -> None:
    bundle = of_zoo(model, runtime, out, decomposed)
    ran = program.run(bundle, runtime_library(runtime) if runtime in NAMED else None, form)
    assert_same_verdict(ran, bundle, form)
    assert_same_outputs(ran, bundle, form)


@pytest.mark.parametrize("runtime", ["litert", "aotinductor", "torchscript", "executorch"])
def test_an_op_library_that_is_needed_cannot_be_left_out(program: Program, out: Path, runtime: str) -> None:
    bundle = of_zoo("lltm", runtime, out, False if runtime in {"litert", "executorch"} else None)
    ran = program.run(bundle, runtime_library(runtime) if runtime in NAMED else None, WITHOUT)
    with pytest.raises(DeployError) as expected:
        deploypipe.load(bundle, native=False)
    assert ran.status == UNSUPPORTED
    assert ran.error == f"{expected.value.message}. Leave without_op_libraries at 0."
