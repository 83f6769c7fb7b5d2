"""The sensitivity of parts of a model."""

from __future__ import annotations

import numpy as np
import torch

from deploypipe import layers
from deploypipe.capture import resolve
from deploypipe.layers import Layer
from deploypipe.search import sensitivity, space
from deploypipe.spec import ModelSpec, Predict


class Uneven(torch.nn.Module):
    """Two layers; in each row of the second one, one weight leaves the others few levels."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.even = torch.nn.Linear(8, 16)
        self.uneven = torch.nn.Linear(16, 4)
        with torch.no_grad():
            self.uneven.weight[:, 0] = 40.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.uneven(torch.relu(self.even(x)))
        return y


def spec() -> ModelSpec:
    data = torch.randn(64, 8, generator=torch.Generator().manual_seed(1))
    module = Uneven()
    with torch.no_grad():
        expected = module(data).argmax(1).numpy()

    def evaluate(predict: Predict) -> float:
        return 100 * float(np.mean(predict(data.numpy())[0].argmax(1) == expected))

    return resolve(ModelSpec("uneven", module, (data[:2],), calibration=[(data,)], evaluate=evaluate))


def test_the_most_sensitive_part_comes_first() -> None:
    model = spec()
    found = sensitivity.measure(model, space.groups(_layers(model)))
    assert [each.group for each in found] == ["uneven", "even"]
    assert found[0].errors[8] > 3 * found[1].errors[8]
    assert all(each.errors[4] > each.errors[8] > 0 for each in found)


def test_the_points_lost_are_those_of_the_models_own_score() -> None:
    model = spec()
    rough = next(each for each in sensitivity.measure(model, space.groups(_layers(model))) if each.group == "uneven")
    rounded = sensitivity.rounded(model.module, ["uneven"], 4)
    with torch.no_grad():
        changed = torch.cat([rounded(batch) for (batch,) in model.calibration or ()]).argmax(1)
        exact = torch.cat([model.module(batch) for (batch,) in model.calibration or ()]).argmax(1)
    assert rough.drops[4] == 100 * float((changed != exact).float().mean())


def test_the_model_itself_is_not_touched() -> None:
    model = spec()
    before = {name: value.clone() for name, value in model.module.state_dict().items()}
    sensitivity.measure(model, space.groups(_layers(model)))
    assert all(torch.equal(value, before[name]) for name, value in model.module.state_dict().items())


def _layers(model: ModelSpec) -> list[Layer]:
    return list(layers.of(model.module))
