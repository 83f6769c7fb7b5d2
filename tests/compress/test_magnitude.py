from __future__ import annotations

import pytest
import torch
from torch import nn

from deploypipe.compress import magnitude, scores
from deploypipe.ops import LLTM
from deploypipe.spec import ModelSpec


@pytest.mark.parametrize("share", [0.0, 0.25, 0.9])
def test_the_share_is_of_all_weights_together(share: float) -> None:
    module = nn.ModuleList([nn.Linear(20, 30), nn.Conv2d(4, 8, 3), LLTM(6, 10)])
    pruned = magnitude.pruned(module, share)
    weights = torch.cat([layer.weight.flatten() for layer in magnitude.layers(pruned)])
    assert float((weights == 0).float().mean()) == pytest.approx(share, abs=1e-3)


def test_the_smallest_go_and_the_others_stay() -> None:
    module = nn.Linear(1, 4, bias=False)
    with torch.no_grad():
        module.weight[:] = torch.tensor([[0.5], [-0.1], [-2.0], [0.2]])
    assert magnitude.pruned(module, 0.5).weight.flatten().tolist() == [0.5, 0, -2, 0]
    assert module.weight.count_nonzero() == 4


def test_only_a_zipped_file_becomes_smaller(mlp: ModelSpec) -> None:
    pruned = magnitude.pruned(mlp.module, 0.8)
    assert scores.weights_bytes(pruned) == scores.weights_bytes(mlp.module)
    assert scores.zipped_bytes(pruned) < 0.4 * scores.zipped_bytes(mlp.module)
    assert pruned.state_dict().keys() == mlp.module.state_dict().keys()
