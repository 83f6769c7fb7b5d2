"""Numbers in JavaScript are those of Python: texts, metrics, images, classes, and the outputs of a run."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import deploypipe
from deploypipe import parity, processing
from deploypipe.errors import DeployError
from deploypipe.processing import ClassOutput, ImageInput, Resize
from tests.bundle.damage import edit, ones

from .verdicts import App, Node

Array = np.ndarray[Any, Any]


def tensor(array: Array) -> dict[str, Any]:
    return {"dtype": str(array.dtype), "shape": list(array.shape), "data": [str(value) for value in array.ravel()]}


def array_of(tensor: dict[str, Any]) -> Array:
    return np.array(tensor["data"]).astype(tensor["dtype"]).reshape(tensor["shape"])


def images() -> list[tuple[Array, ImageInput]]:
    """Random images of all kinds, each with something to do to it."""
    random = np.random.default_rng(0)
    steps: list[tuple[Resize, ...]] = [
        (),
        (Resize(height=8, width=8, method="area"),),
        (Resize(height=5, width=13, method="bilinear"),),
        (Resize(height=28, width=28, method="area"), Resize(height=64, width=40, method="bilinear")),
        (Resize(height=1, width=1, method="area"), Resize(height=3, width=2, method="area")),
    ]
    made = []
    for channels, color, layout, resize in itertools.product((1, 3, 4), ("gray", "rgb"), ("NCHW", "NHWC"), steps):
        height, width = random.integers(1, 40, 2)
        values = random.uniform(0.1, 0.9, (2, processing.CHANNELS[color])).tolist()
        info = ImageInput(color=color, layout=layout, resize=resize, mean=values[0], std=values[1])
        made.append((random.integers(0, 256, (height, width, channels), np.uint8), info))
    return made


def texts() -> list[float]:
    """Numbers of all sizes; among them those that lie just between two texts."""
    random = np.random.default_rng(0)
    sizes = 10.0 ** random.integers(-12, 12, 400)
    ties = [k / 2**n for k in range(1, 400, 3) for n in (3, 5, 8, 20)]
    edges = [0.0, 1.0, 0.5, 999.4, 999.5, 999.6, 1000.0, 1e-4, 9.995e-5, 9.994e-5, 0.1, 5e-324, 1.7e308]
    return [*(random.uniform(1, 10, 400) * sizes).tolist(), *ties, *edges]


def pairs() -> list[tuple[Array, Array]]:
    """Outputs and references: near, equal, constant, zero, empty, and with values that are not finite."""
    random = np.random.default_rng(0)
    reference = random.standard_normal(50)
    holes = reference.copy()
    holes[[3, 7, 9]] = np.nan, np.inf, -np.inf
    near = holes + 1e-3
    filled = np.nan_to_num(holes)
    return [
        (reference + 1e-4 * random.standard_normal(50), reference),
        (reference, reference),
        (np.full(5, 2.5), np.full(5, 2.0)),
        (np.full(5, 1e-9), np.zeros(5)),
        (np.zeros(0), np.zeros(0)),
        (near, holes),
        (filled, holes),
        (holes, filled),
        (-holes, holes),
    ]


def test_texts_metrics_images_and_classes_are_those_of_python(app: App, node: Node, onnx_bundle: Path) -> None:
    logits = np.random.default_rng(0).normal(0, 3, (3, 4)).astype("float32")
    logits[2] = [1, 2, 2, 1]
    described = [ClassOutput(labels=("a", "b", "c", "d"), softmax=softmax) for softmax in (True, False)]
    shares = [([1, 2, 3], [1, 2, 3]), ([1, 2, 3, 4], [1, 0, 3, 0]), ([], [])]
    asked = {
        "shortest": [[str(value)] for value in texts()],
        "normalizedError": [[list(map(str, each)) for each in pair] for pair in pairs()],
        "unequalShare": shares,
        "prepare": [
            [{"width": image.shape[1], "height": image.shape[0], "data": image.ravel().tolist()}, info.model_dump()]
            for image, info in images()
        ],
        "classes": [[tensor(logits), row, info.model_dump()] for info in described for row in range(3)],
    }
    [found] = node("calls.mjs", app(onnx_bundle), given=asked)
    assert found["shortest"] == [f"{value:.3g}" for value in texts()]
    for error, (output, reference) in zip(found["normalizedError"], pairs(), strict=True):
        expected = parity.normalized_error(output, reference)
        assert error == "Infinity" if math.isinf(expected) else float(error) == pytest.approx(expected, rel=1e-12)
    assert [float(share) for share in found["unequalShare"]] == [0, 0.5, 0]
    for made, (image, info) in zip(found["prepare"], images(), strict=True):
        expected = processing.prepare(image, info)
        assert made["shape"] == list(expected.shape)
        np.testing.assert_allclose(array_of(made), expected, rtol=1e-6, atol=1e-6)
    rows = [processing.classes(logits[row], info) for info in described for row in range(3)]
    for classes, expected in zip(found["classes"], rows, strict=True):
        assert [each["label"] for each in classes] == [label for label, _ in expected]
        np.testing.assert_allclose(
            [each["probability"] for each in classes], [value for _, value in expected], rtol=1e-12
        )


def test_a_run_gives_the_outputs_of_python(app: App, node: Node, hashing_onnx: Path) -> None:
    batches = [np.random.default_rng(size).random((size, 6), "float32") for size in (1, 7, 64)]
    [found] = node("calls.mjs", app(hashing_onnx), given={"run": [[{"x": tensor(batch)}] for batch in batches]})
    with deploypipe.load(hashing_onnx, native=False) as model:
        for outputs, batch in zip(found["run"], batches, strict=True):
            assert list(outputs) == ["index", "t"]
            for output, expected in zip(outputs.values(), model(batch), strict=True):
                assert output["dtype"] == "int64"
                assert output["shape"] == list(expected.shape)
                assert (array_of(output) != expected).mean() <= 1e-2


WRONG: list[dict[str, Array]] = [
    {},
    {"z": ones(1, 6)},
    {"x": ones(1, 6), "z": ones(1)},
    {"x": ones(1, 6).astype("float64")},
    {"x": ones(1, 5)},
    {"x": ones(6)},
    {"x": ones(1025, 6)},
    {"x": ones(0, 6)},
    {"x": np.nan * ones(1, 6)},
]


def test_wrong_inputs_are_refused_in_the_words_of_python(app: App, node: Node, hashing_onnx: Path) -> None:
    asked = [[{name: tensor(array) for name, array in inputs.items()}] for inputs in WRONG]
    [found] = node("calls.mjs", app(hashing_onnx), given={"run": asked})
    with deploypipe.load(hashing_onnx, native=False) as model:
        for said, inputs in zip(found["run"], WRONG, strict=True):
            with pytest.raises(DeployError) as caught:
                model.run(inputs)
            assert said == {"message": caught.value.message, "cure": caught.value.cure}


def test_classes_of_something_else_get_one_sentence(app: App, node: Node, onnx_bundle: Path) -> None:
    labels = {"kind": "classes", "labels": ["a", "b", "c"], "softmax": False}
    edit(onnx_bundle, lambda table: table.update(processing={"outputs": {"y": labels}}))
    output = tensor(np.array([[1, 3, 2]], "float32"))
    asked = [[{"y": output}], [{}], [{"y": output}, {"row": 1}], [{"y": output}, {"output": "z"}]]
    [found] = node("calls.mjs", app(onnx_bundle), given={"classesOfModel": asked})
    named, *refused = found["classesOfModel"]
    assert [(each["label"], each["probability"]) for each in named] == [("b", 3), ("c", 2), ("a", 1)]
    assert [each["message"] for each in refused] == [
        "There is no output 'y'",
        "[1,3] has no row 1 of 3 classes",
        "The manifest does not name classes of z",
    ]
