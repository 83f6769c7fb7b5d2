"""The trained models of the zoo; the cache has them once any test has asked."""

from __future__ import annotations

import pytest

from deploypipe import zoo
from deploypipe.spec import ModelSpec


@pytest.fixture(scope="session")
def mlp() -> ModelSpec:
    return zoo.spec("mlp")


@pytest.fixture(scope="session")
def lltm() -> ModelSpec:
    return zoo.spec("lltm")


@pytest.fixture(scope="session")
def gcwsnet() -> ModelSpec:
    return zoo.spec("gcwsnet")
