from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from deploypipe.compress import magnitude, tuning
from deploypipe.errors import DeployError
from deploypipe.spec import ModelSpec


def test_zeros_stay_zero_and_other_weights_learn(mlp: ModelSpec) -> None:
    pruned = magnitude.pruned(mlp.module, 0.6)
    tuned = tuning.fine_tuned(mlp, pruned, 1)
    for before, after in zip(magnitude.layers(pruned), magnitude.layers(tuned), strict=True):
        zero = before.weight == 0
        assert not after.weight[zero].any()
        assert (after.weight[~zero] != before.weight[~zero]).float().mean() > 0.9


def test_a_model_that_was_not_pruned_may_change_everywhere(mlp: ModelSpec) -> None:
    tuned = tuning.fine_tuned(mlp, mlp.module, 1)
    assert not torch.equal(magnitude.layers(tuned)[0].weight, magnitude.layers(mlp.module)[0].weight)
    assert not tuned.training


def test_the_same_call_gives_the_same_weights_and_leaves_random_numbers_alone(mlp: ModelSpec) -> None:
    state = torch.get_rng_state()
    first, second = (tuning.fine_tuned(mlp, mlp.module, 1).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_train_function_that_draws_numbers_leaves_them_as_they_were(mlp: ModelSpec) -> None:
    def careless(module: nn.Module, _epochs: int) -> None:
        torch.manual_seed(1)
        module.train()

    state = torch.get_rng_state()
    tuned = tuning.fine_tuned(dataclasses.replace(mlp, train=careless), mlp.module, 1)
    assert torch.equal(torch.get_rng_state(), state)
    assert not tuned.training


def test_without_a_train_function_the_cure_is_named(mlp: ModelSpec) -> None:
    spec = dataclasses.replace(mlp, train=None)
    with pytest.raises(DeployError, match="Give its ModelSpec a `train`"):
        tuning.fine_tuned(spec, spec.module, 1)
    tuning.fine_tuned(spec, spec.module, 0)
