"""`deploypipe.load`: numpy in, numpy out, and what is refused at run time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import deploypipe
from deploypipe import ModelSpec, installed
from deploypipe.bundle import manifest as manifests
from deploypipe.bundle.verify import verify
from deploypipe.errors import DeployError
from deploypipe.processing import Processing
from deploypipe.runtimes import onnxruntime

from .damage import change_golden, edit, library, mend, ones, other_abi


@pytest.mark.parametrize("bundle", ["onnx_bundle", "script_bundle"])
def test_a_loaded_model_answers_as_the_module_does(request: pytest.FixtureRequest, plain: Any, bundle: str) -> None:
    model = deploypipe.load(request.getfixturevalue(bundle))
    x = np.random.default_rng(0).standard_normal((7, 4)).astype("float32")
    with torch.no_grad():
        expected = plain().module(torch.from_numpy(x)).numpy()
    (answer,) = model(x)
    np.testing.assert_allclose(answer, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(model.run({"x": x})["y"], answer)
    np.testing.assert_array_equal(model(np.asfortranarray(x))[0], answer)


@pytest.mark.parametrize("bundle", ["onnx_bundle", "script_bundle"])
@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({}, "Give exactly: x float32"),
        ({"z": ones(1, 4)}, "The inputs are z"),
        ({"x": ones(1, 4), "z": ones(1)}, "The inputs are x, z"),
        ({"x": ones(1, 4).astype("float64")}, "'x' is float64"),
        ({"x": ones(1, 5)}, r"'x' is float32\[1,5\]"),
        ({"x": ones(4)}, r"'x' is float32\[4\]"),
        ({"x": ones(1025, 4)}, "batch 1 to 1024"),
        ({"x": ones(0, 4)}, "batch 1 to 1024"),
    ],
)
def test_wrong_inputs_are_refused(
    request: pytest.FixtureRequest, bundle: str, inputs: dict[str, Any], said: str
) -> None:
    with pytest.raises(DeployError, match=said):
        deploypipe.load(request.getfixturevalue(bundle)).run(inputs)


def test_a_wrong_number_of_inputs_is_refused(onnx_bundle: Path) -> None:
    with pytest.raises(DeployError, match=r"2 inputs were given\. The model takes x"):
        deploypipe.load(onnx_bundle)(ones(1, 4), ones(1, 4))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("bundle", ["hashing_onnx", "hashing_script"])
def test_a_model_whose_op_is_undefined_there_refuses_nan(
    request: pytest.FixtureRequest, bundle: str, value: float
) -> None:
    model = deploypipe.load(request.getfixturevalue(bundle))
    x = ones(2, 6)
    x[1, 3] = value
    with pytest.raises(DeployError, match="Input 'x' holds NaN or infinity"):
        model(x)


def test_a_model_without_such_an_op_lets_nan_pass(onnx_bundle: Path) -> None:
    assert np.isnan(deploypipe.load(onnx_bundle)(np.nan * ones(1, 4))[0]).all()


def test_a_portable_artifact_gives_the_same_hashes_without_its_op_library(hashing_onnx: Path) -> None:
    x = np.random.default_rng(0).random((50, 6), "float32")
    native, inlined = deploypipe.load(hashing_onnx), deploypipe.load(hashing_onnx, native=False)
    for one, other in zip(native(x), inlined(x), strict=True):
        np.testing.assert_array_equal(one, other)
    assert native.session.op_paths([x], ["deploypipe::cws_dense"]) == {"deploypipe::cws_dense": "native"}
    assert inlined.session.op_paths([x], ["deploypipe::cws_dense"]) == {"deploypipe::cws_dense": "inlined"}


def test_any_other_artifact_cannot_do_without(hashing_script: Path) -> None:
    with pytest.raises(DeployError, match="torchscript cannot run without its op library"):
        deploypipe.load(hashing_script, native=False)


def test_a_runtime_that_is_not_installed_is_named(onnx_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "version", lambda _: None)
    with pytest.raises(DeployError, match=r"onnxruntime is not installed\. Run `pip install onnxruntime=="):
        deploypipe.load(onnx_bundle)


def test_a_runtime_that_is_too_old_is_named(onnx_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "version", lambda _: "1.20.1")
    with pytest.raises(DeployError, match=r"needs onnxruntime 1.21; 1.20.1 is installed"):
        deploypipe.load(onnx_bundle)


@pytest.mark.parametrize(
    ("package", "there", "here", "accepted"),
    [
        ("onnxruntime", "1.21", "1.21.0", True),
        ("onnxruntime", "1.21", "1.32.1", True),
        ("onnxruntime", "1.21", "2.0", True),
        ("onnxruntime", "1.21", "1.20.9", False),
        ("torch", "2.13", "2.13.1+cpu", True),
        ("torch", "2.13", "2.14.0", False),
        ("executorch", "1.4.1", "1.4.2", False),
    ],
)
def test_onnxruntime_accepts_older_libraries_and_the_others_their_own_only(
    hashing_onnx: Path, monkeypatch: pytest.MonkeyPatch, package: str, there: str, here: str, accepted: bool
) -> None:
    edit(hashing_onnx, lambda table: table["ops"][0].update(abi={package: there}))
    real = installed.version
    changed = {package: here, "onnxruntime": here if package == "onnxruntime" else real("onnxruntime")}
    edit(hashing_onnx, lambda table: table["runtime"].update(min_version="1.0"))
    monkeypatch.setattr(installed, "version", lambda name: changed.get(name, real(name)))
    if accepted:
        assert deploypipe.load(hashing_onnx).manifest.ops[0].abi == {package: there}
    else:
        with pytest.raises(DeployError, match=f"was built for {package} {there}; {here}"):
            deploypipe.load(hashing_onnx)


def test_a_library_of_another_platform_is_refused(hashing_onnx: Path) -> None:
    edit(hashing_onnx, lambda table: table.update(platform="plan9-mips"))
    with pytest.raises(DeployError, match="op library of this bundle is for plan9-mips"):
        deploypipe.load(hashing_onnx)


def test_a_library_that_is_left_out_may_be_of_another_platform_and_abi(hashing_onnx: Path) -> None:
    edit(hashing_onnx, lambda table: table.update(platform="plan9-mips"))
    other_abi(hashing_onnx)
    assert deploypipe.load(hashing_onnx, native=False)(ones(1, 6))[0].shape == (1, 4)


def test_a_bundle_without_libraries_runs_on_any_platform(onnx_bundle: Path) -> None:
    edit(onnx_bundle, lambda table: table.update(platform="plan9-mips"))
    assert deploypipe.load(onnx_bundle)(ones(1, 4))[0].shape == (1, 3)


def test_a_manifest_says_what_is_in_the_bundle(hashing_onnx: Path) -> None:
    manifest = manifests.read(hashing_onnx)
    assert manifest.model == "hashing"
    assert [info.describe() for info in manifest.inputs] == ["x float32[batch,6]"]
    assert [info.describe() for info in manifest.outputs] == ["index int64[batch,4]", "t int64[batch,4]"]
    assert manifest.libraries() == (f"lib/{library(hashing_onnx).name}",)
    assert [(op.name, op.path) for op in manifest.ops] == [("deploypipe::cws_dense", "native")]
    assert manifest.finite_inputs
    assert manifest.verdict is not None
    assert manifest.verdict.passed
    assert {check.what for check in manifest.verdict.checks} == {
        f"{form} op library, batch={size}" for form in ("with", "without") for size in (1, 5)
    }


def test_scalars_go_in_and_come_out_as_scalars(own_cache: Path, tmp_path: Path) -> None:
    class Scaled(torch.nn.Module):
        def forward(self, x: torch.Tensor, factor: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return x * factor, factor + 1

    spec = ModelSpec("scaled", Scaled(), (torch.ones(2, 3), torch.tensor(2.0)), ["x", "factor"], ["y", "next"])
    for bundle in deploypipe.build(spec, out=tmp_path / "dist", runtimes=["onnxruntime", "torchscript"]):
        y, following = deploypipe.load(bundle.path)(ones(4, 3), np.float32(3) * np.ones((), "float32"))
        assert (y == 3).all()
        assert following.shape == ()
        assert following == 4


DIGITS = {
    "inputs": {
        "image": {"color": "gray", "resize": [{"height": 8, "width": 8, "method": "area"}], "mean": [0], "std": [1]}
    },
    "outputs": {"logits": {"labels": ["dark", "bright"]}},
}


@pytest.fixture
def bright(own_cache: Path, tmp_path: Path) -> Path:
    """A bundle that tells bright images from dark ones."""

    class Bright(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            mean = image.mean((1, 2, 3)) - 0.5
            return torch.stack([-mean, mean], 1)

    spec = ModelSpec(
        "bright",
        Bright(),
        (torch.rand(2, 1, 8, 8),),
        ["image"],
        ["logits"],
        processing=Processing.model_validate(DIGITS),
    )
    return deploypipe.build(spec, out=tmp_path / "dist", runtimes=["onnxruntime"])[0].path


def test_a_model_takes_images_and_names_classes(bright: Path) -> None:
    with deploypipe.load(bright) as model:
        outputs = model.run_image(np.full((480, 640, 3), 255, np.uint8))
        np.testing.assert_allclose(outputs["logits"], [[-0.5, 0.5]], atol=1e-6)
        (first, share), (second, rest) = model.classes("logits", outputs["logits"])
        assert (first, second) == ("bright", "dark")
        assert share == pytest.approx(1 / (1 + np.exp(-1)), rel=1e-6)
        assert share + rest == pytest.approx(1)
        assert model.classes("logits", model.run_image(np.zeros((3, 3), np.uint8))["logits"])[0][0] == "dark"
        with pytest.raises(DeployError, match=r"no classes for 'logit'. Did you mean 'logits'\?"):
            model.classes("logit", outputs["logits"])
        with pytest.raises(DeployError, match=r"The image is float32\[8,8\]"):
            model.run_image(np.zeros((8, 8), np.float32))


def test_a_model_without_processing_takes_arrays_only(onnx_bundle: Path) -> None:
    model = deploypipe.load(onnx_bundle)
    with pytest.raises(DeployError, match=r"plain does not take one image. Run it on arrays"):
        model.run_image(np.zeros((8, 8), np.uint8))
    with pytest.raises(DeployError, match=r"names no classes for 'y'. Name them when the model is built"):
        model.classes("y", ones(1, 3))


def test_processing_that_does_not_fit_fails_before_anything_is_lowered(
    plain: Any, own_cache: Path, tmp_path: Path
) -> None:
    for given, said in (
        (Processing.model_validate(DIGITS | {"outputs": {}}), r"unknown input 'image'. Known are: x"),
        (Processing.model_validate({"outputs": {"y": {"labels": ["a"]}}}), r"1 labels for y float32\[batch,3\]"),
        ({"inputs": {}}, "The processing of the model is a dict"),
    ):
        with pytest.raises(DeployError, match=said):
            deploypipe.build(plain(processing=given), out=tmp_path / "dist", runtimes=["onnxruntime"])
    assert not (own_cache / "lower").exists()


@pytest.mark.parametrize("native", [True, False])
def test_a_loaded_model_verifies_the_form_that_runs(hashing_onnx: Path, native: bool) -> None:
    verdict = deploypipe.load(hashing_onnx, native).verify()
    form = "with op library" if native else "without op library"
    assert verdict.passed
    assert [(check.what, check.output) for check in verdict.checks] == [
        (f"{form}, batch={size}", name) for size in (1, 5) for name in ("index", "t")
    ]
    sealed = manifests.read(hashing_onnx).verdict
    assert sealed is not None
    assert set(verdict.checks) <= set(sealed.checks)


def test_a_loaded_model_that_gives_something_else_fails_as_in_verify(onnx_bundle: Path) -> None:
    change_golden(onnx_bundle)
    mend(onnx_bundle)
    verdict = deploypipe.load(onnx_bundle).verify()
    assert not verdict.passed
    assert verdict.failures == verify(onnx_bundle).verdict.failures
    assert verdict.failures[0].startswith("y: normalized_error ")


def test_a_closed_model_does_not_run(hashing_script: Path) -> None:
    model = deploypipe.load(hashing_script)
    with model as same:
        assert same is model
    for use in (lambda: model(ones(1, 6)), model.verify, lambda: model.session.op_paths([ones(1, 6)], [])):
        with pytest.raises(DeployError, match=r"The model is closed. Load the bundle again"):
            use()


def test_a_runtime_is_given_a_path_that_holds_in_every_folder(
    onnx_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LiteRT opens the artifact again when a batch comes that it has another signature for."""
    seen: list[Path] = []
    original = onnxruntime.load

    def noted(artifact: Path, libraries: Sequence[Path], threads: int | None) -> Any:
        seen.append(artifact)
        return original(artifact, libraries, threads)

    monkeypatch.setattr(onnxruntime, "load", noted)
    monkeypatch.chdir(onnx_bundle.parent)
    with deploypipe.load(onnx_bundle.name):
        assert seen == [onnx_bundle.resolve() / "model.onnx"]
