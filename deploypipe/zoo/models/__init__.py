"""One file per architecture; each defines `MODEL`."""

from __future__ import annotations

from importlib import import_module

from deploypipe.errors import DeployError, nearest
from deploypipe.zoo import MODELS
from deploypipe.zoo.definition import Definition


def get(name: str) -> Definition:
    """Returns the definition of a model of the zoo, importing only that one.

    Raises:
        DeployError: There is no such model.
    """
    if name not in MODELS:
        raise DeployError(f"There is no model '{name}' in the zoo", nearest(name, list(MODELS)))
    definition: Definition = import_module(f"{__name__}.{name}").MODEL
    return definition
