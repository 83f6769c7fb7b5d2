"""The precisions of AOTInductor: what is in the package, what stays float, and what is refused."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
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

# What becomes of the layers that are not float.
LAYERS = {
    "fp32": {},
    "bf16": dict.fromkeys(("convolution", "table", "middle.first", "head"), "bf16"),
    "int8-dynamic": dict.fromkeys(("lltm", "table", "middle.first", "head"), "int8"),
    "int8-static": dict.fromkeys(("convolution", "lltm", "table", "middle.first", "head"), "int8"),
}
LINEAR, CONVOLUTION = b"aoti_torch_cpu__qlinear_pointwise_tensor", b"aoti_torch_cpu__qconv_pointwise_tensor"
KERNELS = {"fp32": set(), "bf16": set(), "int8-dynamic": {LINEAR}, "int8-static": {LINEAR, CONVOLUTION}}
BYTES = {"fp32": 4, "bf16": 2, "int8": 1}


@pytest.fixture(scope="module", params=LAYERS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The model in each precision; to compile it takes long."""
    return Made(tmp_path_factory.mktemp(request.param), "aotinductor", request.param, KEPT)


def records(file: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.slow
def test_the_answers_are_those_of_the_model_and_the_hashes_have_its_bits(made: Made) -> None:
    made.check_answers(NORMALIZED_ERRORS[made.precision])


@pytest.mark.slow
def test_the_library_calls_kernels_of_8_bits(made: Made) -> None:
    library = next(content for name, content in records(made.file).items() if name.endswith(".so"))
    assert set(re.findall(rb"aoti_torch_cpu__q\w+", library)) == KERNELS[made.precision]


@pytest.mark.slow
def test_every_layer_says_what_became_of_it(made: Made) -> None:
    everything = dict.fromkeys((layer.name for layer in made.program.layers), "fp32")
    assert made.precisions == everything | LAYERS[made.precision]


@pytest.mark.slow
def test_a_layer_that_stays_float_says_why(made: Made) -> None:
    reasons = {layer.name: layer.reason for layer in made.lowered.layers if layer.name != "cws"}
    if made.precision == "fp32":
        assert set(reasons.values()) == {""}
        return
    assert reasons["head"] == ""
    assert reasons["before"] == "an op that takes float only needs what it gives"
    assert reasons[KEPT] == "it was asked to stay float"
    if made.precision == "int8-dynamic":
        assert reasons["convolution"] == "torch has no int8-dynamic form of it"


@pytest.mark.slow
def test_custom_ops_are_native(made: Made) -> None:
    image = torch.rand(2, 1, 8, 8).numpy()
    assert set(made.session.op_paths([image], made.program.facts.ops).values()) == {"native"}
    assert ("deploypipe::lltm_int8" in made.program.facts.ops) == made.precision.startswith("int8")


@pytest.mark.slow
def test_a_package_holds_little_beside_the_weights(made: Made) -> None:
    weights = sum(layer.weights * BYTES[layer.precision] for layer in made.lowered.layers)
    assert made.file.stat().st_size < weights + 90_000
    assert not [name for name in records(made.file) if name.endswith((".cpp", ".o"))]


@pytest.mark.slow
@pytest.mark.parametrize("made", ["int8-static"], indirect=True)
def test_a_processor_without_vnni_gives_the_same_numbers(made: Made, tmp_path: Path) -> None:
    """Weights are packed for the processor that builds, and products of 8 bits would overflow on another."""
    image = torch.rand(16, 1, 8, 8, generator=torch.Generator().manual_seed(7)).numpy()
    np.save(tmp_path / "image.npy", image)
    code = (
        "import sys, numpy, deploypipe.ops\n"
        "from pathlib import Path\n"
        "from deploypipe.runtimes import aotinductor\n"
        "session = aotinductor.load(Path(sys.argv[1]), [])\n"
        "numpy.save('logits.npy', session.run([numpy.load('image.npy')])[0])\n"
    )
    logits = made.session.run([image])[0]
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2"}
    subprocess.run([sys.executable, "-c", code, made.file], cwd=tmp_path, env=environment, check=True)
    assert np.abs(np.load(tmp_path / "logits.npy") - logits).max() < 0.02 * logits.std()


class Spread(nn.Module):
    """Takes x float32[B,1,8,8], returns float32[B,64]: all of it less its mean, a sum over everything."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x - x.mean()).flatten(1)


@pytest.mark.slow
def test_a_run_may_have_other_threads_than_the_build(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count() or 1)  # what inductor takes for any number
    try:
        captured = program(tmp_path / "p", aotinductor, Form(), Spread())
        aotinductor.lower(captured, Form(), tmp_path / "model.pt2")
    finally:
        torch.set_num_threads(before)
    image = torch.rand(512, 1, 8, 8, generator=torch.Generator().manual_seed(7)).numpy()
    np.save(tmp_path / "image.npy", image)
    code = (
        "import sys, numpy, torch\n"
        "from pathlib import Path\n"
        "from deploypipe.runtimes import aotinductor\n"
        "session = aotinductor.load(Path(sys.argv[1]), [])\n"
        "for threads in (1, 16 * torch.get_num_threads()):\n"
        "    torch.set_num_threads(threads)\n"
        "    numpy.save(f'{threads > 1}.npy', session.run([numpy.load('image.npy')])[0])\n"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "model.pt2"], cwd=tmp_path, check=True)
    expected = image.reshape(512, 64) - image.mean()
    for name in ("False.npy", "True.npy"):
        np.testing.assert_allclose(np.load(tmp_path / name), expected, atol=1e-5)


@pytest.mark.slow
def test_a_model_with_nothing_to_quantize_is_refused(tmp_path: Path) -> None:
    form = Form(precision="int8-dynamic")
    captured = program(tmp_path / "p", aotinductor, form, nn.ReLU())
    with pytest.raises(DeployError, match="nothing in the model that int8-dynamic could quantize"):
        aotinductor.lower(captured, form, tmp_path / "model.pt2")


def test_another_compiler_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "cpp.cxx" in compiler.options()
    monkeypatch.setenv("CXX", "clang++")  # whose name ends as that of g++ does
    assert "cpp.cxx" not in compiler.options()


def test_two_compilations_never_write_into_one_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Inductor names files by the code alone, which two trainings of one model have in common."""
    seen: list[Path] = []

    def compiles(*_: object, **__: object) -> None:
        seen.append(Path(torch._inductor.config.aot_inductor.output_path))
        assert seen[-1].is_dir()
        raise RuntimeError("seen")

    captured = program(tmp_path / "p", aotinductor, Form(), nn.ReLU())
    monkeypatch.setattr(torch._inductor, "aoti_compile_and_package", compiles)
    for _ in range(2):
        with pytest.raises(DeployError, match="seen"):
            aotinductor.lower(captured, Form(), tmp_path / "model.pt2")
    assert seen[0] != seen[1]
    assert not any(folder.exists() for folder in seen)
