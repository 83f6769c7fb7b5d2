"""From a checkpoint to a ModelSpec."""

from __future__ import annotations

import functools
from pathlib import Path

import torch
from torch import nn

from deploypipe.errors import DeployError
from deploypipe.spec import Evaluate, ModelSpec, Train
from deploypipe.zoo import checkpoint, data, models, processing, trained, training, tuning, weights
from deploypipe.zoo.checkpoint import Origin
from deploypipe.zoo.data import Dataset, Split
from deploypipe.zoo.definition import Definition

# At least 16: an export of convolutions from a smaller example bounds the batch to 15 in ExecuTorch.
BATCH = 32
CALIBRATION_BATCHES = 4


def model_spec(name: str, data_name: str, data_dir: Path | None, path: Path | None) -> ModelSpec:
    """Makes the ModelSpec of a trained model; see `zoo.spec`."""
    definition = models.get(name)
    path = path or trained(name, data_name, data_dir)[0]
    tensors, origin = checkpoint.read(path)
    _check(name, definition, data_name, path, origin)
    dataset = data.load(data_name, data_dir, origin.seed if origin else 0)
    classes = origin.classes if origin else _classes(tensors, path)
    module = _module(definition, dataset, classes)
    weights.fill(module, tensors, path)
    batches = _batches(definition, dataset.train)
    return ModelSpec(
        name=name,
        module=module.eval(),
        example_inputs=batches[0],
        input_names=("image",),
        output_names=("logits",),
        calibration=batches,
        evaluate=_evaluate(definition, dataset, classes),
        train=_train(definition, dataset, classes),
        processing=processing.of(definition.prepare, dataset, classes),
    )


def _check(name: str, definition: Definition, data_name: str, path: Path, origin: Origin | None) -> None:
    if origin is None:
        if not definition.foreign_weights:
            raise DeployError(f"{path} does not say what model it holds", "Give a file written by `deploypipe train`.")
    elif origin.model != name:
        raise DeployError(f"{path} holds the model '{origin.model}', not '{name}'", f"Build {origin.model}.")
    elif origin.data != data_name:
        raise DeployError(f"{path} was trained on '{origin.data}', not '{data_name}'", f"Add --data {origin.data}.")


def _classes(tensors: weights.Weights, path: Path) -> int:
    """Returns the number of logits of a plain state dict: the rows of its last matrix."""
    matrices = [value for value in tensors.values() if value.ndim == 2]
    if not matrices:
        raise DeployError(f"{path} has no classifier", "Give a state dict of the whole model.")
    return len(matrices[-1])


def _module(definition: Definition, dataset: Dataset, classes: int) -> nn.Module:
    with training.seeded(0):
        return definition.build(dataset.shape, classes, 0)


def _batches(definition: Definition, split: Split) -> list[tuple[torch.Tensor, ...]]:
    starts = range(0, min(len(split.labels), BATCH * CALIBRATION_BATCHES), BATCH)
    return [(torch.from_numpy(definition.prepare(split.images[at : at + BATCH])),) for at in starts]


def _evaluate(definition: Definition, dataset: Dataset, classes: int) -> Evaluate | None:
    """Returns how the model is scored; a model of other classes than the data's has no score here."""
    if classes != dataset.classes:
        return None
    test = dataset.test
    return functools.partial(training.accuracy, test.images, test.labels, definition.prepare)


def _train(definition: Definition, dataset: Dataset, classes: int) -> Train | None:
    """Returns how the model is trained on; the labels of other classes would teach it nothing."""
    if classes != dataset.classes:
        return None
    return functools.partial(tuning.tune, definition.recipes[dataset.name], dataset.train, definition.prepare)
