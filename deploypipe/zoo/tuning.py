"""Training a module of the zoo on, after something was changed in it."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from deploypipe.zoo import training
from deploypipe.zoo.data import Split
from deploypipe.zoo.definition import Prepare, Recipe

# Of the recipe's rate: what was learned is to be mended, not to be learned anew.
GENTLEST = 0.2


def tune(recipe: Recipe, split: Split, prepare: Prepare, module: nn.Module, epochs: int) -> None:
    """Trains a module in place, and leaves it in eval mode; the same call gives the same weights.

    The peak of the learning rate grows with the number of epochs: a fifth of the recipe's for a few, which mend a
    trained module, and all of it for as many as the recipe has, in which new layers can learn from nothing.

    Args:
        recipe: How the model was trained.
        split: The images to train on.
        prepare: Makes the module's input of images.
        module: The module, or an exported graph of it.
        epochs: Passes over the images.
    """
    share = min(1.0, max(GENTLEST, epochs / recipe.epochs))
    shorter = replace(recipe, epochs=epochs, learning_rate=share * recipe.learning_rate)
    with training.seeded(0):
        training.fit(module, shorter, split, prepare, None)
