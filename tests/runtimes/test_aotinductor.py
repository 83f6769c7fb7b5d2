"""The precisions of AOTInductor: what is in the package, what stays float, and what is refused."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from deploypipe.errors import DeployError
from deploypipe.precision import NORMALIZED_ERRORS
from deploypipe.runtimes import Form, aotinductor
from deploypipe.runtimes.aoti import compiler
from tests.runtimes.mixed import KEPT, Made, program

Make = Callable[..., Made]
FLOAT = {"before": "fp32", "cws": "fp32", KEPT: "fp32"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Lowers the model to a precision, once."""
    done: dict[str, Made] = {}

    def make(precision: str) -> Made:
        if precision not in done:
            done[precision] = Made(tmp_path_factory.mktemp(precision), "aotinductor", precision, KEPT)
        return done[precision]

    return make


def library(file: Path) -> bytes:
    """Returns the library in a package."""
    with zipfile.ZipFile(file) as archive:
        return archive.read(next(name for name in archive.namelist() if name.endswith(".so")))


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8-dynamic", "int8-static"])
def test_the_answers_are_those_of_the_model_and_the_hashes_have_its_bits(made: Make, precision: str) -> None:
    made(precision).check_answers(NORMALIZED_ERRORS[precision])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("precision", "kernels"),
    [
        ("int8-dynamic", {b"aoti_torch_cpu__qlinear_pointwise_tensor"}),
        ("int8-static", {b"aoti_torch_cpu__qlinear_pointwise_tensor", b"aoti_torch_cpu__qconv_pointwise_tensor"}),
    ],
)
def test_the_library_calls_kernels_of_8_bits(made: Make, precision: str, kernels: set[bytes]) -> None:
    called = set(re.findall(rb"aoti_torch_cpu__q\w+", library(made(precision).file)))
    assert called == kernels
    assert not re.search(rb"aoti_torch_cpu__q\w+", library(made("fp32").file))


@pytest.mark.slow
def test_every_layer_says_what_became_of_it(made: Make) -> None:
    quantized = dict.fromkeys(("lltm", "table", "middle.first", "head"), "int8")
    assert made("int8-static").precisions == FLOAT | quantized | {"convolution": "int8"}
    assert made("int8-dynamic").precisions == FLOAT | quantized | {"convolution": "fp32"}
    rounded = dict.fromkeys(("convolution", "table", "middle.first", "head"), "bf16")
    assert made("bf16").precisions == FLOAT | rounded | {"lltm": "fp32"}
    assert set(made("fp32").precisions.values()) == {"fp32"}


@pytest.mark.slow
def test_a_layer_that_stays_float_says_why(made: Make) -> None:
    dynamic = made("int8-dynamic")
    assert dynamic.layer("convolution").reason == "torch has no int8-dynamic form of it"
    assert dynamic.layer("before").reason == "an op that takes float only needs what it gives"
    assert dynamic.layer(KEPT).reason == "it was asked to stay float"
    assert not dynamic.layer("head").reason


@pytest.mark.slow
def test_custom_ops_are_native(made: Make) -> None:
    static = made("int8-static")
    image = torch.rand(2, 1, 8, 8).numpy()
    assert set(static.session.op_paths([image], static.program.facts.ops).values()) == {"native"}
    assert "deploypipe::lltm_int8" in static.program.facts.ops


@pytest.mark.slow
def test_a_package_holds_little_beside_the_weights(made: Make) -> None:
    sizes = {each: made(each).file.stat().st_size for each in ("fp32", "bf16", "int8-dynamic", "int8-static")}
    weights = 4 * sum(layer.weights for layer in made("fp32").lowered.layers)
    assert sizes["fp32"] < weights + 100_000
    assert sizes["bf16"] < 0.8 * sizes["fp32"]
    assert sizes["int8-static"] < sizes["fp32"] * 0.65  # what was asked to stay float and hashes are half of it
    assert sizes["int8-dynamic"] < sizes["fp32"] * 0.65
    with zipfile.ZipFile(made("fp32").file) as archive:
        assert not [name for name in archive.namelist() if name.endswith((".cpp", ".o"))]


@pytest.mark.slow
@pytest.mark.parametrize("processor", ["SSE41", "AVX2", "AVX512_CORE_VNNI"])
def test_another_processor_gives_the_same_numbers(made: Make, tmp_path: Path, processor: str) -> None:
    """Weights are packed for the processor that builds, and products of 8 bits must not overflow on any."""
    static = made("int8-static")
    image = torch.rand(16, 1, 8, 8, generator=torch.Generator().manual_seed(7)).numpy()
    np.save(tmp_path / "image.npy", image)
    code = (
        "import sys, numpy, deploypipe.ops\n"
        "from pathlib import Path\n"
        "from deploypipe.runtimes import aotinductor\n"
        "session = aotinductor.load(Path(sys.argv[1]), [])\n"
        "numpy.save('logits.npy', session.run([numpy.load('image.npy')])[0])\n"
    )
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": processor}
    subprocess.run([sys.executable, "-c", code, static.file], cwd=tmp_path, env=environment, check=True)
    logits = static.session.run([image])[0]
    assert np.abs(np.load(tmp_path / "logits.npy") - logits).max() < 0.02 * logits.std()


def test_another_compiler_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "cpp.cxx" in compiler.options()
    monkeypatch.setenv("CXX", "clang++")
    assert "cpp.cxx" not in compiler.options()


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["int8-dynamic"])
def test_a_model_with_nothing_to_quantize_is_refused(tmp_path: Path, precision: str) -> None:
    form = Form(precision=precision)
    captured = program(tmp_path / "p", aotinductor, form, nn.ReLU())
    with pytest.raises(DeployError, match=f"nothing in the model that {precision} could quantize"):
        aotinductor.lower(captured, form, tmp_path / "model.pt2")
