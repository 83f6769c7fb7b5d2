"""What tflite-runtime 2.14 misreads: the gate names it, and 2.14 really does."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deploypipe.errors import DeployError
from deploypipe.runtimes import tflite_runtime
from deploypipe.runtimes.tflite import flatbuffer, gate
from deploypipe.runtimes.tflite.legacy_process import LegacyProcess

from . import files

Array = np.ndarray[Any, Any]
Make = Callable[[], bytes]

SCRIPT = Path(__file__).parents[3] / "scripts" / "legacy-versions"


def error(legacy: LegacyProcess, content: bytes, plain: bytes, folder: Path) -> float:
    """Returns how far a file in 2.14 is from the one with float weights, over the spread of the latter."""
    (folder / "model.tflite").write_bytes(content)
    inputs = files.arrays(plain, seed=99)
    wanted = files.run(plain, inputs)
    legacy.load(folder / "model.tflite")
    (found,) = legacy.run(inputs)
    return float(np.sqrt(np.mean((found.astype(np.float64) - wanted) ** 2)) / wanted.std())


def refused(make: Make, recipe: files.Recipe, reason: str) -> tuple[bytes, bytes]:
    """Quantizes a file, asserts that the gate refuses it for a reason, and returns it before and after."""
    plain = make()
    content = files.quantized(plain, recipe)
    assert any(reason in each for each in gate.refusals(content))
    return plain, content


MISREAD = [
    (files.dense, files.dynamic(8, "CHANNELWISE"), "FULLY_CONNECTED 'out' ignores the scales of 'constant_1'"),
    (files.embedding, files.dynamic(8, "CHANNELWISE"), "EMBEDDING_LOOKUP 'out' ignores the scales of 'constant_1'"),
    (files.matmul, files.dynamic(8, "CHANNELWISE"), "BATCH_MATMUL 'out' ignores the scales of 'constant_1'"),
    (lambda: files.convolution(2), files.dynamic(8, "TENSORWISE"), "CONV_2D 'out' reads beyond the scales"),
    (files.depthwise, files.dynamic(8, "TENSORWISE"), "DEPTHWISE_CONV_2D 'out' reads beyond the scales"),
    (files.convolution, files.dynamic(4, "CHANNELWISE"), "'constant_1' is INT4, which is taken for whole bytes"),
    (files.dense, files.dynamic(4, "BLOCKWISE_32"), "'constant_1' is INT4, which is taken for whole bytes"),
]


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize(("make", "recipe", "reason"), MISREAD, ids=[case[2].split(",")[0] for case in MISREAD])
def test_what_is_computed_wrongly_is_refused(
    make: Make, recipe: files.Recipe, reason: str, legacy: LegacyProcess, tmp_path: Path
) -> None:
    plain, content = refused(make, recipe, reason)
    try:
        distance = error(legacy, content, plain, tmp_path)
    except DeployError as died:  # what lies beyond the end of the scales decides
        distance = math.inf if "was ended by SIG" in died.message else 0
    assert not distance < 0.9  # nor is NaN


UNREADABLE = [
    (files.transposed_convolution, files.dynamic(8, "CHANNELWISE"), "TRANSPOSE_CONV 'out' has no kernel for float"),
    (files.dense, files.weight_only(4, "CHANNELWISE"), "'constant_1' is INT4"),
    (files.embedding, files.dynamic(4, "CHANNELWISE"), "'constant_1' is INT4"),
    (files.matmul, files.static(16, "TENSORWISE"), "has no kernel for INT16 activations with INT8 weights"),
    (lambda: files.elementwise("SQRT"), files.static(8, "CHANNELWISE"), "SQRT 'out' has no kernel for INT8"),
    (lambda: files.elementwise("SQRT"), files.static(16, "CHANNELWISE"), "SQRT 'out' has no kernel for INT16"),
    (lambda: files.elementwise("RSQRT"), files.static(16, "CHANNELWISE"), "RSQRT 'out' has no kernel for INT16"),
    (lambda: files.elementwise("GELU"), files.static(16, "CHANNELWISE"), "GELU 'out' has no kernel for INT16"),
    (lambda: files.elementwise("DIV", 2), files.static(8, "CHANNELWISE"), "DIV 'out' has no kernel for INT8"),
    (lambda: files.elementwise("DIV", 2), files.static(16, "CHANNELWISE"), "DIV 'out' has no kernel for INT16"),
    (
        lambda: files.elementwise("NOT_EQUAL", 2, "bool"),
        files.static(16, "CHANNELWISE"),
        "NOT_EQUAL 'out' has no kernel for INT16",
    ),
    (files.total, files.static(16, "CHANNELWISE"), "SUM 'out' has no kernel for INT16"),
    (files.update, files.static(16, "CHANNELWISE"), "DYNAMIC_UPDATE_SLICE 'out' has no kernel for INT16"),
]


@pytest.mark.parametrize(("make", "recipe", "reason"), UNREADABLE, ids=[case[2] for case in UNREADABLE])
def test_what_has_no_kernel_is_refused(
    make: Make, recipe: files.Recipe, reason: str, legacy: LegacyProcess, tmp_path: Path
) -> None:
    plain, content = refused(make, recipe, reason)
    with pytest.raises(DeployError, match=r"does not load in tflite-runtime|tflite-runtime refuses the inputs"):
        error(legacy, content, plain, tmp_path)


SOUND = [
    (files.dense, files.dynamic(8, "TENSORWISE")),
    (files.embedding, files.dynamic(8, "TENSORWISE")),
    (files.matmul, files.dynamic(8, "TENSORWISE")),
    (files.convolution, files.dynamic(8, "CHANNELWISE")),
    (files.convolution, files.dynamic(8, "TENSORWISE")),
    (lambda: files.convolution(2), files.dynamic(8, "CHANNELWISE")),
    (files.depthwise, files.dynamic(8, "CHANNELWISE")),
    *((make, files.weight_only(8, "CHANNELWISE")) for make in (files.dense, files.depthwise, files.embedding)),
    *((make, files.static(8, "CHANNELWISE")) for make in (files.dense, files.convolution, files.depthwise)),
    *((make, None) for make in (files.dense, files.matmul, lambda: files.elementwise("SQRT"))),
    (files.transposed_convolution, files.weight_only(8, "CHANNELWISE")),
]


@pytest.mark.parametrize(("make", "recipe"), SOUND)
def test_what_is_computed_rightly_passes(
    make: Make, recipe: files.Recipe | None, legacy: LegacyProcess, tmp_path: Path
) -> None:
    plain = make()
    content = files.quantized(plain, recipe) if recipe else plain
    assert gate.refusals(content) == []
    assert error(legacy, content, plain, tmp_path) < 0.1


def with_code(builtin: str, version: int = 1, custom: bytes | None = None) -> bytes:
    model, _ = files.empty()
    flatbuffer.add_operator(model, builtin, version, [], [])
    model.operatorCodes[0].customCode = custom
    return flatbuffer.inline(model)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (with_code("FULLY_CONNECTED", 12), "FULLY_CONNECTED has version 12; known is versions 1 to 10"),
        (with_code("BROADCAST_TO", 1), "BROADCAST_TO has version 1; known is versions 2 to 3"),
        (with_code("PRELU", 2), "PRELU has version 2; known is version 1"),
        (with_code("STABLEHLO_COMPOSITE"), "STABLEHLO_COMPOSITE is not known"),
        (with_code("CUSTOM", 1, b"custom_call.dp_lltm"), "'custom_call.dp_lltm' is a custom one, without a kernel"),
    ],
)
def test_operators_that_came_later_are_named(content: bytes, said: str, legacy: LegacyProcess) -> None:
    (found,) = gate.refusals(content)
    assert said in found
    if "custom" not in said:  # a kernel of a custom operator is missed only when it is called
        with pytest.raises(DeployError, match=r"find op for builtin|out of range"):
            legacy.probe(content)


def test_everything_is_told_at_once() -> None:
    content = files.quantized(files.dense(), files.dynamic(8, "CHANNELWISE"))
    model = flatbuffer.parse(content)
    model.operatorCodes[0].version = 12
    with pytest.raises(DeployError, match=r"has version 12.*ignores the scales.*build for the runtime litert"):
        tflite_runtime.check(flatbuffer.inline(model))


@pytest.mark.slow
def test_the_table_of_versions_is_what_the_runtime_takes(legacy: LegacyProcess) -> None:
    assert legacy.probe()["tflite-runtime"] == "2.14.0"
    done = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
