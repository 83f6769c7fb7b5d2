"""Fine-tuning by the train function of the user, under which pruned weights stay zero."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn

from deploypipe.compress import magnitude
from deploypipe.errors import DeployError
from deploypipe.spec import ModelSpec, Train


def fine_tuned(spec: ModelSpec, module: nn.Module, epochs: int) -> nn.Module:
    """Returns a copy of a module, trained on; weights of its layers that are exactly zero stay so.

    Args:
        spec: Of the model that the module was made from; its `train` is called.
        module: Is not changed.
        epochs: 0 leaves the copy untrained.

    Raises:
        DeployError: The spec has no `train`.
    """
    tuned = copy.deepcopy(module)
    if epochs:
        train = trainer(spec)
        with zeros_held(layer.weight for layer in magnitude.layers(tuned)), torch.random.fork_rng(devices=[]):
            train(tuned, epochs)
    return tuned.eval()


def trainer(spec: ModelSpec) -> Train:
    """Returns the train function of a spec.

    Raises:
        DeployError: It has none.
    """
    if spec.train is None:
        raise DeployError(
            f"The model '{spec.name}' cannot be trained on",
            "Give its ModelSpec a `train`, which trains a module in place for a number of epochs.",
        )
    return spec.train


@contextlib.contextmanager
def zeros_held(parameters: Iterable[nn.Parameter]) -> Iterator[None]:
    """Keeps zeros zero while parameters are trained: their gradients are zero, so no optimizer moves them.

    Masks of torch.nn.utils.prune would do the same, but under other names, by which the user's optimizer may choose.
    """
    handles = [each.register_hook(_masked(each.detach() != 0)) for each in parameters if bool((each == 0).any())]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _masked(mask: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda gradient: gradient * mask
