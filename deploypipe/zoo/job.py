"""One training: a model, its data and a seed."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from deploypipe import cache, fingerprint
from deploypipe.errors import DeployError
from deploypipe.zoo import Progress, TrainResult, checkpoint, data, models, training, weights
from deploypipe.zoo.data import Dataset
from deploypipe.zoo.definition import Definition, Recipe

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Job:
    """What a training depends on.

    Attributes:
        name: A name of `zoo.MODELS`.
        definition: That model.
        dataset: What it learns.
        seed: Of the initial weights and of the order of the images.
    """

    name: str
    definition: Definition
    dataset: Dataset
    seed: int

    @classmethod
    def make(cls, name: str, data_name: str, data_dir: Path | None, seed: int) -> Job:
        """Looks the names up and reads the data."""
        return cls(name, models.get(name), data.load(data_name, data_dir, seed), seed)

    def recipe(self, epochs: int | None) -> Recipe:
        """Returns the recipe for the data, with another number of epochs if one is given."""
        recipe = self.definition.recipes[self.dataset.name]
        if epochs is not None and epochs < 1:
            raise DeployError(f"{epochs} epochs train nothing", "Give --epochs 1 or more.")
        return replace(recipe, epochs=epochs) if epochs else recipe

    def untrained(self) -> nn.Module:
        """Makes the module with its initial weights."""
        return self.definition.build(self.dataset.shape, self.dataset.classes, self.seed)

    def run(
        self, epochs: int | None, out: Path, progress: Progress | None, start_from: Path | None = None
    ) -> TrainResult:
        """Trains, scores, and writes the checkpoint."""
        recipe, start = self.recipe(epochs), time.perf_counter()
        with training.seeded(self.seed):
            model = self.untrained()
            if start_from:
                weights.start_from(model, start_from)
            training.fit(model, recipe, self.dataset.train, self.definition.prepare, progress)
        seconds = time.perf_counter() - start
        accuracy = training.score(model, self.definition, self.dataset.test)
        checkpoint.write(out, model.state_dict(), self._origin(recipe, accuracy))
        return TrainResult(accuracy, recipe.epochs, seconds, out)

    def _origin(self, recipe: Recipe, accuracy: float) -> checkpoint.Origin:
        return checkpoint.Origin(
            model=self.name,
            data=self.dataset.name,
            shape=self.dataset.shape,
            classes=self.dataset.classes,
            seed=self.seed,
            epochs=recipe.epochs,
            accuracy=accuracy,
        )

    def cached(self, progress: Progress | None, force: bool) -> tuple[Path, bool]:
        """Returns the checkpoint of the training by the recipe, and whether it was there already."""

        def make(folder: Path) -> None:
            self.run(None, folder / "model.safetensors", progress)

        folder, reused = cache.stage("train", self.key(), make, force)
        return folder / "model.safetensors", reused

    def key(self) -> str:
        """Returns a digest of everything that the result depends on."""
        with training.seeded(self.seed):
            model = self.untrained()
        parts = (self.dataset, self.recipe(None), self.definition.prepare, training.fit, torch.__version__)
        return fingerprint.digest(self.name, self.seed, model, self._kernels(), *parts)

    def _kernels(self) -> str:
        if not self.definition.ops:
            return ""
        from deploypipe import native

        digest: str = native.digest(native.PROJECT)
        return digest
