"""From an 8-bit image to a tensor, and from a row of an output to classes: the arithmetic that every SDK repeats."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from deploypipe import processing
from deploypipe.errors import DeployError
from deploypipe.processing import ClassOutput, ImageInput, Processing, Resize
from deploypipe.tensors import AxisRange, TensorInfo

Array = np.ndarray[Any, Any]

GRAY = ImageInput(color="gray", mean=(0.0,), std=(1.0,))
RGB = ImageInput(color="rgb", mean=(0.0,) * 3, std=(1.0,) * 3)
IMAGE = TensorInfo(name="image", dtype="float32", shape=("batch", 1, 8, 8))
LOGITS = TensorInfo(name="logits", dtype="float32", shape=("batch", 3))
AXES = {"batch": AxisRange(min=1, max=64)}


def pixels(*shape: int) -> Array:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def resized(image: Array, height: int, width: int, method: str) -> Array:
    step = Resize.model_validate({"height": height, "width": width, "method": method})
    return processing.prepare(image, GRAY.model_copy(update={"resize": (step,)}))[0, 0]


def test_values_go_from_0_to_1() -> None:
    image = np.array([[0, 51, 255]], np.uint8)
    tensor = processing.prepare(image, GRAY)
    assert (tensor.dtype, tensor.shape) == (np.dtype("float32"), (1, 1, 1, 3))
    np.testing.assert_array_equal(tensor[0, 0, 0], np.array([0, 0.2, 1], "float32"))


def test_gray_is_the_brightness_of_colours() -> None:
    image = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]], np.uint8)
    found = processing.prepare(image, GRAY)[0, 0, 0]
    np.testing.assert_allclose(found, [0.299, 0.587, 0.114, 1.0], rtol=1e-6)


def test_alpha_is_ignored_and_gray_becomes_three_equal_channels() -> None:
    image = pixels(5, 4, 4)
    for info in (GRAY, RGB):
        np.testing.assert_array_equal(processing.prepare(image, info), processing.prepare(image[:, :, :3], info))
    gray = processing.prepare(image[:, :, 0], RGB)
    assert gray.shape == (1, 3, 5, 4)
    np.testing.assert_array_equal(gray, processing.prepare(image[:, :, :1], RGB))
    np.testing.assert_array_equal(gray[0, 0], gray[0, 2])


@pytest.mark.parametrize("size", [(14, 14), (7, 28), (1, 1)])
def test_area_averages_whole_cells_as_torch_does(size: tuple[int, int]) -> None:
    image = pixels(28, 28)
    expected = torch.nn.functional.adaptive_avg_pool2d(torch.from_numpy(image / 255)[None], size)[0]
    np.testing.assert_allclose(resized(image, *size, "area"), expected, rtol=1e-6)


def test_area_weighs_cells_that_are_cut() -> None:
    image = np.array([[30, 60, 90]], np.uint8)
    # Of three cells over two: the first with half of the second, half of the second with the third.
    np.testing.assert_allclose(resized(image, 1, 2, "area") * 255, [[40, 80]], rtol=1e-6)
    np.testing.assert_allclose(resized(image, 1, 6, "area") * 255, [[30, 30, 60, 60, 90, 90]], rtol=1e-6)


@pytest.mark.parametrize("size", [(64, 64), (9, 30), (8, 8), (5, 3)])
def test_bilinear_is_that_of_torch(size: tuple[int, int]) -> None:
    image = pixels(8, 8)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(image / 255)[None, None], size, mode="bilinear", align_corners=False
    )[0, 0]
    np.testing.assert_allclose(resized(image, *size, "bilinear"), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("method", ["area", "bilinear"])
@pytest.mark.parametrize("size", [(1, 1), (3, 50), (33, 2)])
def test_a_constant_image_stays_constant(method: str, size: tuple[int, int]) -> None:
    np.testing.assert_allclose(resized(np.full((7, 11), 51, np.uint8), *size, method), 0.2, rtol=1e-6)


def test_each_channel_has_its_mean_and_std_and_the_layout_is_as_asked() -> None:
    image = pixels(4, 6, 3)
    info = ImageInput(color="rgb", layout="NHWC", mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 2.0))
    tensor = processing.prepare(image, info)
    assert tensor.shape == (1, 4, 6, 3)
    assert tensor.flags.c_contiguous
    expected = (image / 255 - np.array([0.1, 0.2, 0.3])) / np.array([0.5, 0.25, 2.0])
    np.testing.assert_array_equal(tensor[0], expected.astype("float32"))


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (np.zeros((2, 2)), r"The image is float64\[2,2\]. Give uint8"),
        (np.zeros((2, 2, 2), np.uint8), r"uint8\[2,2,2\]"),
        (np.zeros((0, 2), np.uint8), r"uint8\[0,2\]"),
        (np.zeros(4, np.uint8), r"uint8\[4\]"),
        (np.zeros((1, 2, 2, 3), np.uint8), r"uint8\[1,2,2,3\]"),
    ],
)
def test_what_is_no_image_is_refused(image: Array, said: str) -> None:
    with pytest.raises(DeployError, match=said):
        processing.prepare(image, GRAY)


def test_classes_are_sorted_by_their_probability() -> None:
    info = ClassOutput(labels=("a", "b", "c"))
    found = processing.classes(np.log([0.2, 0.5, 0.3]), info)
    assert [label for label, _ in found] == ["b", "c", "a"]
    np.testing.assert_allclose([share for _, share in found], [0.5, 0.3, 0.2])
    assert processing.classes(np.array([[1e4, 0, 0]], "float32"), info)[0] == ("a", 1.0)


def test_equal_classes_keep_their_order_and_probabilities_are_taken_as_they_are() -> None:
    info = ClassOutput(labels=("a", "b", "c"), softmax=False)
    assert processing.classes(np.array([0.25, 0.5, 0.5]), info) == [("b", 0.5), ("c", 0.5), ("a", 0.25)]


@pytest.mark.parametrize("shape", [(2,), (2, 3), (3, 1), ()])
def test_what_is_not_one_row_has_no_classes(shape: tuple[int, ...]) -> None:
    with pytest.raises(DeployError, match="is not one row of 3 classes"):
        processing.classes(np.zeros(shape), ClassOutput(labels=("a", "b", "c")))


@pytest.mark.parametrize(
    "fields",
    [
        {"color": "gray", "mean": [0, 0, 0], "std": [1, 1, 1]},
        {"color": "rgb", "mean": [0, 0, 0], "std": [1]},
        {"color": "gray", "mean": [0], "std": [0]},
        {"color": "gray", "mean": [float("nan")], "std": [1]},
        {"color": "gray", "mean": [0], "std": [1], "resize": [{"height": 0, "width": 1, "method": "area"}]},
        {"color": "gray", "mean": [0], "std": [1], "resize": [{"height": 1, "width": 1, "method": "cubic"}]},
        {"color": "cmyk", "mean": [0], "std": [1]},
        {"color": "gray", "mean": [0], "std": [1], "flip": True},
    ],
)
def test_an_impossible_description_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ImageInput.model_validate(fields)


def sized(height: int, width: int, **fields: Any) -> dict[str, Any]:
    step = {"height": height, "width": width, "method": "area"}
    return {"image": {"color": "gray", "mean": [0], "std": [1], "resize": [step]} | fields}


@pytest.mark.parametrize(
    ("inputs", "outputs", "said"),
    [
        ({"imag": sized(8, 8)["image"]}, {}, r"unknown input 'imag'. Did you mean 'image'\?"),
        ({}, {"image": {"labels": ["a"]}}, r"unknown output 'image'. Known are: logits"),
        (sized(8, 9), {}, r"gives float32\[1,1,8,9\] to image float32\[batch,1,8,8\]"),
        (sized(8, 8, layout="NHWC"), {}, r"gives float32\[1,8,8,1\]"),
        (sized(8, 8, color="rgb", mean=[0] * 3, std=[1] * 3), {}, r"gives float32\[1,3,8,8\]"),
        ({}, {"logits": {"labels": ["a", "b"]}}, r"2 labels for logits float32\[batch,3\]"),
    ],
)
def test_processing_fits_the_model(inputs: dict[str, Any], outputs: dict[str, Any], said: str) -> None:
    given = Processing.model_validate({"inputs": inputs, "outputs": outputs})
    with pytest.raises(DeployError, match=said):
        processing.check(given, [IMAGE], [LOGITS], AXES)


def test_processing_that_fits_is_accepted() -> None:
    labels = {"logits": {"labels": ["a", "b", "c"]}}
    given = Processing.model_validate({"inputs": sized(8, 8), "outputs": labels})
    processing.check(given, [IMAGE], [LOGITS], AXES)
    assert given.describe() == ["image: gray image, resized to 8x8", "logits: 3 classes"]
    processing.check(Processing(inputs={"image": GRAY}), [IMAGE], [LOGITS], AXES)


def test_a_model_that_takes_no_batch_of_one_takes_no_image() -> None:
    given = Processing.model_validate({"inputs": sized(8, 8)})
    with pytest.raises(DeployError, match=r"gives float32\[1,1,8,8\]"):
        processing.check(given, [IMAGE], [LOGITS], {"batch": AxisRange(min=2, max=64)})


@pytest.mark.parametrize("dtype", ["float64", "uint8"])
def test_an_image_goes_into_float32_only(dtype: str) -> None:
    info = IMAGE.model_copy(update={"dtype": dtype})
    with pytest.raises(DeployError, match="Correct its layout, color or resize"):
        processing.check(Processing.model_validate({"inputs": sized(8, 8)}), [info], [LOGITS], AXES)
