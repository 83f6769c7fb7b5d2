"""The processing in a zoo model's manifest is the preparation of its training, begun from 8-bit images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from deploypipe import processing, zoo
from deploypipe.predict import eager
from deploypipe.processing import Processing
from deploypipe.zoo import data, models
from deploypipe.zoo import processing as zoo_processing
from deploypipe.zoo.models.mobilenet_v3_small import STD

Array = np.ndarray[Any, Any]

HALF_A_STEP = 0.5 / 255


def image_of(pixels: Array, given: Processing) -> Array:
    return processing.prepare(pixels, given.inputs["image"])


def eight_bits(images: Array) -> Array:
    """The images of a data set, float32[N,1,H,W], as uint8[N,H,W]."""
    return np.round(images[:, 0] * 255).astype(np.uint8)


def test_a_digit_of_8_bits_gives_the_input_and_the_class_of_the_data(mlp_checkpoint: Path) -> None:
    spec = zoo.spec("mlp", checkpoint=mlp_checkpoint)
    assert spec.processing is not None
    test = data.load("digits").test
    inputs = np.concatenate([image_of(pixels, spec.processing) for pixels in eight_bits(test.images)])
    assert np.abs(inputs - models.get("mlp").prepare(test.images)).max() <= HALF_A_STEP + 1e-7
    predict = eager(spec.module)
    (found,), (expected,) = predict(inputs), predict(test.images)
    assert (found.argmax(1) != expected.argmax(1)).sum() <= 3
    label, probability = processing.classes(found[0], spec.processing.outputs["logits"])[0]
    assert label == str(found[0].argmax())
    assert probability == pytest.approx(float(torch.softmax(torch.from_numpy(found[0]), 0).max()), rel=1e-5)


def test_fashion_mnist_is_8_bits_itself(fashion: Path) -> None:
    dataset = data.load("fashion-mnist", fashion)
    definition = models.get("mlp")
    given = zoo_processing.of(definition.prepare, dataset, 10)
    images = dataset.test.images[:8]
    inputs = np.concatenate([image_of(pixels, given) for pixels in eight_bits(images)])
    np.testing.assert_allclose(inputs, definition.prepare(images), rtol=1e-6, atol=0)
    assert given.outputs["logits"].labels[9] == "Ankle boot"


@pytest.mark.parametrize("name", ["digits", "fashion-mnist"])
def test_mobilenet_takes_enlarged_colours(name: str, fashion: Path) -> None:
    dataset = data.load(name, fashion if name == "fashion-mnist" else None)
    definition = models.get("mobilenet_v3_small")
    given = zoo_processing.of(definition.prepare, dataset, 10)
    images = dataset.test.images[:4]
    inputs = np.concatenate([image_of(pixels, given) for pixels in eight_bits(images)])
    assert inputs.shape == (4, 3, 64, 64)
    assert np.abs(inputs - definition.prepare(images)).max() <= HALF_A_STEP / min(STD) + 1e-5


def test_a_large_photo_of_a_digit_is_shrunk() -> None:
    given = zoo_processing.of(models.get("mlp").prepare, data.load("digits"), 10)
    assert image_of(np.zeros((480, 640, 3), np.uint8), given).shape == (1, 1, 8, 8)


def test_classes_of_other_data_have_no_names() -> None:
    assert zoo_processing.of(models.get("mlp").prepare, data.load("digits"), 1000).outputs == {}


def test_every_model_of_the_zoo_says_what_it_takes() -> None:
    dataset = data.load("digits")
    for name in zoo.MODELS:
        given = zoo_processing.of(models.get(name).prepare, dataset, dataset.classes)
        assert list(given.inputs) == ["image"]
        assert given.outputs["logits"].labels == tuple("0123456789")
