"""Images and classes as the manifest states them: what the SDK makes of them is what Python makes of them."""

from __future__ import annotations

import ctypes
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deploypipe import processing
from deploypipe.bundle import manifest as manifests
from deploypipe.errors import DeployError
from deploypipe.processing import ClassOutput, ImageInput
from tests.bundle.damage import edit

from .capi import BAD_BUNDLE, INVALID_ARGUMENT, Array, Model, Sdk, SdkError, image
from .conftest import write_bundle

GRAY = {"color": "gray", "mean": [0.1], "std": [0.5]}
RGB = {"color": "rgb", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
AREA = {"height": 8, "width": 6, "method": "area"}
BILINEAR = {"height": 30, "width": 41, "method": "bilinear"}


def model_of(sdk: Sdk, folder: Path, **image_info: Any) -> Model:
    """Opens a model whose input is an image of any size."""
    channels = 3 if image_info["color"] == "rgb" else 1
    sides: list[int | str] = ["height", "width"]
    last = image_info.get("layout") == "NHWC"
    shape = [1, *sides, channels] if last else [1, channels, *sides]
    axes = {side: {"min": 1, "max": 4096} for side in ("height", "width")} | {"batch": {"min": 1, "max": 64}}
    tensor = {"dtype": "float32", "shape": shape}
    tables = {"inputs": {"x": {"kind": "image", **image_info}}}
    bundle = write_bundle(
        folder,
        inputs=[{"name": "x", **tensor}],
        outputs=[{"name": "y", **tensor}],
        axes=axes,
        processing=tables,
    )
    return sdk.open(bundle)


def pixels(*shape: int) -> Array:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


STEPS = [[], [AREA], [BILINEAR], [AREA, BILINEAR], [{"height": 1, "width": 1, "method": "area"}]]
COLOURS = [(colours, layout) for colours in (GRAY, RGB) for layout in ("NCHW", "NHWC")]


@pytest.mark.parametrize(("colours", "layout"), COLOURS)
@pytest.mark.parametrize("steps", STEPS)
def test_an_image_becomes_what_python_makes_of_it(
    sdk: Sdk, tmp_path: Path, colours: dict[str, Any], layout: str, steps: list[dict[str, Any]]
) -> None:
    info = {**colours, "layout": layout, "resize": steps}
    model, wanted = model_of(sdk, tmp_path / "bundle", **info), ImageInput.model_validate(info)
    for channels, (height, width) in itertools.product((1, 3, 4), ((13, 17), (8, 6), (3, 50))):
        given = pixels(height, width, channels)
        found, expected = model.prepare(given), processing.prepare(given, wanted)
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_allclose(found, expected, rtol=3e-7, atol=3e-7)
    model.close()


def test_values_that_can_be_counted_by_hand(sdk: Sdk, tmp_path: Path) -> None:
    step = {"height": 1, "width": 2, "method": "area"}
    model = model_of(sdk, tmp_path / "bundle", color="gray", mean=[0], std=[1], resize=[step])
    found = model.prepare(np.array([[0, 51, 102, 153], [51, 102, 153, 204]], np.uint8))
    np.testing.assert_array_equal(found, np.array([[[[0.2, 0.6]]]], "float32"))
    model.close()


def test_rows_may_lie_apart(sdk: Sdk, tmp_path: Path) -> None:
    model, whole = model_of(sdk, tmp_path / "bundle", **RGB), pixels(5, 9, 3)
    part = np.ascontiguousarray(whole[:, :4])
    np.testing.assert_array_equal(model.prepare(whole[:, :4], stride=27), model.prepare(part))
    model.close()


def test_a_run_on_an_image(sdk: Sdk, tmp_path: Path) -> None:
    model = model_of(sdk, tmp_path / "bundle", **GRAY, resize=[AREA])
    given = pixels(20, 20)
    np.testing.assert_array_equal(model.run_image(given)[0], 2 * model.prepare(given))
    model.close()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"width": 0}, "The image is 0x4 with 3 channels"),
        ({"height": -1}, "The image is 5x-1 with 3 channels"),
        ({"channels": 2}, "The image is 5x4 with 2 channels"),
        ({"pixels": None}, "The image is 5x4 with 3 channels and no pixels"),
        ({"stride": 14}, "A row of the image has 15 bytes, more than the stride of 14"),
    ],
)
def test_an_image_that_is_none(sdk: Sdk, tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    model, array = model_of(sdk, tmp_path / "bundle", **GRAY), pixels(4, 5, 3)
    given, tensor = image(array), ctypes.c_void_p()
    for name, value in changes.items():
        setattr(given, name, value)
    with pytest.raises(SdkError) as caught:
        sdk.call("prepare_image", model.pointer, ctypes.c_size_t(0), ctypes.byref(given), ctypes.byref(tensor))
    assert (caught.value.status, caught.value.message) == (INVALID_ARGUMENT, said)
    model.close()


def test_a_model_without_images_or_classes(sdk: Sdk, bundle: Path) -> None:
    model = sdk.open(bundle)
    with pytest.raises(SdkError, match="The manifest does not say how an image becomes the input 'x'"):
        model.run_image(pixels(4, 4))
    with pytest.raises(SdkError, match=r"There is no input 1. The model has 1."):
        model.prepare(pixels(4, 4), number=1)
    with pytest.raises(SdkError, match="The manifest does not say which classes the output 'y' has"):
        model.classes(np.ones((1, 3), "float32"))
    model.close()


def classifier(sdk: Sdk, folder: Path, softmax: bool) -> Model:
    outputs = {"y": {"kind": "classes", "labels": ["a", "b", "ç"], "softmax": softmax}}
    return sdk.open(write_bundle(folder, processing={"outputs": outputs}))


@pytest.mark.parametrize("softmax", [True, False])
def test_the_classes_are_those_of_python(sdk: Sdk, tmp_path: Path, softmax: bool) -> None:
    model, info = classifier(sdk, tmp_path / "bundle", softmax), ClassOutput(labels=("a", "b", "ç"), softmax=softmax)
    given = np.array([[1, 3, 2], [-500, 500, 400], [2, 1, 2], [0, 0, 0]], "float32")
    for row in range(len(given)):
        found, expected = model.classes(given, row), processing.classes(2 * given[row], info)
        assert [label for label, _ in found] == [label for label, _ in expected]
        assert [value for _, value in found] == pytest.approx([value for _, value in expected])
    model.close()


def test_the_most_probable_classes_alone(sdk: Sdk, tmp_path: Path) -> None:
    model = classifier(sdk, tmp_path / "bundle", softmax=False)
    assert model.classes(np.array([[1, 3, 2]], "float32"), most=2) == [("b", 6), ("ç", 4)]
    model.close()


def test_a_row_or_an_output_that_is_not_there(sdk: Sdk, tmp_path: Path) -> None:
    model, given = classifier(sdk, tmp_path / "bundle", softmax=True), np.ones((2, 3), "float32")
    for row in (-1, 2):
        with pytest.raises(SdkError, match=rf"There is no row {row}. The output has 2 rows."):
            model.classes(given, row)
    with pytest.raises(SdkError, match=r"There is no output 1. The model has 1."):
        model.classes(given, output=1)
    model.close()


def test_values_that_are_no_numbers_come_last(sdk: Sdk, tmp_path: Path) -> None:
    model = classifier(sdk, tmp_path / "bundle", softmax=False)
    found = model.classes(np.array([[np.nan, 1, 2]], "float32"))
    assert [label for label, _ in found] == ["ç", "b", "a"]
    model.close()


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "colour": ({**GRAY, "color": "cmyk"}, "color: Input should be 'gray' or 'rgb'"),
    "layout": ({**GRAY, "layout": "CHW"}, "layout: Input should be 'NCHW' or 'NHWC'"),
    "channels": ({**RGB, "mean": [0.5]}, "mean: There should be one for each channel"),
    "no spread": ({**GRAY, "std": [0]}, "std.0: Input should be greater than 0"),
    "no size": ({**GRAY, "resize": [{**AREA, "height": 0}]}, "resize.0.height: Input should be 1 to 16384"),
    "huge": ({**GRAY, "resize": [{**AREA, "width": 16385}]}, "resize.0.width: Input should be 1 to 16384"),
    "method": ({**GRAY, "resize": [{**AREA, "method": "cubic"}]}, "resize.0.method: Input should be 'bilinear' or"),
    "steps": ({**GRAY, "resize": [AREA] * 9}, "resize: There are more than 8 steps"),
}


@pytest.mark.parametrize(("info", "said"), BAD.values(), ids=BAD)
def test_processing_that_cannot_be(sdk: Sdk, bundle: Path, info: dict[str, Any], said: str) -> None:
    edit(bundle, lambda table: table.update(processing={"inputs": {"x": {"kind": "image", **info}}}))
    with pytest.raises(SdkError) as caught:
        sdk.open(bundle)
    assert caught.value.message.startswith(f"{bundle / 'manifest.json'} is damaged: processing.inputs.x.{said}")


IMAGE = {"name": "x", "dtype": "float32", "shape": ["batch", 1, 8, 6]}
SIZED = {**GRAY, "resize": [AREA]}
UNFIT: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "unknown input": (IMAGE, {"inputs": {"z": GRAY}}),
    "unknown output": (IMAGE, {"outputs": {"x": {"labels": ["a", "b", "c"]}}}),
    "other axes": ({**IMAGE, "shape": ["batch", 3]}, {"inputs": {"x": GRAY}}),
    "other size": ({**IMAGE, "shape": [1, 1, 8, 7]}, {"inputs": {"x": SIZED}}),
    "other layout": (IMAGE, {"inputs": {"x": {**SIZED, "layout": "NHWC"}}}),
    "other channels": (IMAGE, {"inputs": {"x": {**RGB, "resize": [AREA]}}}),
    "other dtype": ({**IMAGE, "dtype": "uint8"}, {"inputs": {"x": SIZED}}),
    "size out of range": ({**IMAGE, "shape": [1, 1, "side", 6]}, {"inputs": {"x": SIZED}}),
    "more labels": (IMAGE, {"outputs": {"y": {"labels": ["a", "b", "c", "d"]}}}),
}


@pytest.mark.parametrize(("given", "processes"), UNFIT.values(), ids=UNFIT)
def test_processing_that_does_not_fit_the_model_is_told_as_python_tells_it(
    sdk: Sdk, bundle: Path, given: dict[str, Any], processes: dict[str, Any]
) -> None:
    axes = {"batch": {"min": 1, "max": 64}, "side": {"min": 9, "max": 16}}
    edit(bundle, lambda table: table.update(inputs=[given], axes=axes, processing=processes))
    with pytest.raises(DeployError) as expected:
        manifests.read(bundle)
    with pytest.raises(SdkError) as caught:
        sdk.open(bundle)
    assert caught.value.message == expected.value.message
    assert caught.value.status == BAD_BUNDLE


def test_an_axis_that_may_be_of_the_size_of_an_image_takes_it(sdk: Sdk, bundle: Path) -> None:
    shape, axes = ["batch", 1, "height", "width"], {"batch": {"min": 1, "max": 64}, "height": {"min": 8, "max": 9}}
    given = {"inputs": [{**IMAGE, "shape": shape}], "axes": axes, "processing": {"inputs": {"x": SIZED}}}
    edit(bundle, lambda table: table.update(given))
    manifests.read(bundle)
    sdk.open(bundle).close()
