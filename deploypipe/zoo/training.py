"""The train loop and the test loop."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from deploypipe.predict import eager
from deploypipe.zoo.definition import Definition, Prepare, Recipe

if TYPE_CHECKING:
    from deploypipe.spec import Predict
    from deploypipe.zoo import Progress
    from deploypipe.zoo.data import Split

    Array = np.ndarray[Any, Any]

TEST_BATCH = 32


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Runs a block under a seed of its own; torch's random state is afterwards as it was before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def fit(model: nn.Module, recipe: Recipe, split: Split, prepare: Prepare, progress: Progress | None) -> None:
    """Trains a model in place with AdamW under a one-cycle learning rate, and leaves it in eval mode.

    Random numbers come from torch's own state; wrap the call in `seeded`.
    """
    steps = -(-len(split.labels) // recipe.batch_size) * recipe.epochs
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.learning_rate, total_steps=steps)
    criterion = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
    _arrange(model.train(), recipe.channels_last)
    for epoch in range(recipe.epochs):
        losses = []
        for images, labels in _shuffled(split, recipe.batch_size, prepare):
            loss = criterion(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
        if progress:
            progress(epoch + 1, recipe.epochs, sum(losses) / len(losses))
    _settle_statistics(model, recipe, split, prepare)
    _arrange(model.eval(), channels_last=False)


def _settle_statistics(model: nn.Module, recipe: Recipe, split: Split, prepare: Prepare) -> None:
    """Averages the statistics of batch norms anew over the training images, under the final weights.

    Running averages lag behind the weights: after two epochs they still gave the accuracy of chance.
    """
    norms = [part for part in model.modules() if isinstance(part, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch's word for a plain mean over all batches
    with torch.no_grad():
        for images, _ in _shuffled(split, recipe.batch_size, prepare) if norms else ():
            model(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _arrange(model: nn.Module, channels_last: bool) -> None:
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    for parameter in model.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=memory_format)


def _shuffled(split: Split, size: int, prepare: Prepare) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    order = torch.randperm(len(split.labels)).numpy()
    for start in range(0, len(order), size):
        picked = order[start : start + size]
        yield torch.from_numpy(prepare(split.images[picked])), torch.from_numpy(split.labels[picked])


def accuracy(images: Array, labels: Array, prepare: Prepare, predict: Predict) -> float:
    """Returns the share of images whose largest logit is at their label, in percent.

    Args:
        images: float32[N,1,H,W] of a data set, 0 to 1.
        labels: int64[N].
        prepare: Makes the model's input of them, batch by batch.
        predict: Runs the model on one batch of at most 32.
    """
    hits = 0
    for start in range(0, len(labels), TEST_BATCH):
        (logits, *_) = predict(prepare(images[start : start + TEST_BATCH]))
        hits += int((logits.argmax(axis=1) == labels[start : start + TEST_BATCH]).sum())
    return 100 * hits / len(labels)


def score(model: nn.Module, definition: Definition, split: Split) -> float:
    """Returns the accuracy of a module on a split, in percent."""
    model.eval()
    return accuracy(split.images, split.labels, definition.prepare, eager(model))
