"""What the manifests of the zoo's models say of images and classes: the preparation of their training, from 8 bits."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from deploypipe.processing import ClassOutput, ImageInput, Processing, Resize
from deploypipe.zoo.data import Dataset
from deploypipe.zoo.definition import Prepare, as_is
from deploypipe.zoo.models import mobilenet_v3_small

LABELS: Mapping[str, tuple[str, ...]] = {
    "digits": tuple("0123456789"),
    "fashion-mnist": (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
}


def of(prepare: Prepare, dataset: Dataset, classes: int) -> Processing:
    """Returns the processing of a model; the classes of other data have no names here.

    Args:
        prepare: Makes the model's input of the data's images.
        dataset: What it was trained on: light strokes on dark ground.
        classes: How many logits the model has.
    """
    labels = LABELS[dataset.name]
    outputs = {"logits": ClassOutput(labels=labels)} if len(labels) == classes else {}
    return Processing(inputs={"image": _IMAGES[prepare](_shrunk(dataset))}, outputs=outputs)


def _shrunk(dataset: Dataset) -> Resize:
    _, height, width = dataset.shape
    return Resize(height=height, width=width, method="area")


def _gray(shrunk: Resize) -> ImageInput:
    return ImageInput(color="gray", resize=(shrunk,), mean=(0.0,), std=(1.0,))


def _enlarged(shrunk: Resize) -> ImageInput:
    size = mobilenet_v3_small.SIZE
    enlarged = Resize(height=size, width=size, method="bilinear")
    return ImageInput(color="rgb", resize=(shrunk, enlarged), mean=mobilenet_v3_small.MEAN, std=mobilenet_v3_small.STD)


_IMAGES: Mapping[Prepare, Callable[[Resize], ImageInput]] = {as_is: _gray, mobilenet_v3_small.enlarge: _enlarged}
