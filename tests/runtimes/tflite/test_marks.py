"""What became of each layer is read off the file, whatever its operators are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from deploypipe import layers
from deploypipe.layers import Layer
from deploypipe.runtimes.tflite import marks

from .models import Calls, lowered, normal, quantized, seeded


def block() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.BatchNorm2d(8), nn.Hardswish(), nn.Conv2d(8, 16, 1)
    )


MODELS: dict[str, tuple[nn.Module, Tensor]] = {
    "a table alone": (seeded(lambda: nn.Embedding(50, 64)), torch.arange(6).reshape(2, 3)),
    "a layer alone": (seeded(lambda: nn.Linear(64, 32)), normal(2, 64)),
    "layers in layers": (
        seeded(lambda: nn.Sequential(nn.Linear(32, 64), nn.Sequential(nn.GELU(), nn.Linear(64, 8)))),
        normal(2, 32),
    ),
    "convolutions": (
        seeded(lambda: nn.Sequential(nn.Conv2d(3, 8, 3), block(), nn.Flatten(), nn.Linear(16 * 36, 10))),
        normal(2, 3, 8, 8),
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_every_layer_is_found(name: str, tmp_path: Path) -> None:
    module, x = MODELS[name]
    file = lowered(tmp_path, module, x)
    found = quantized(file, "int8-dynamic").layers
    assert [each.name for each in found] == [each.name for each in layers.of(module)]
    assert {each.precision for each in found} == {"int8"}


def test_an_operator_without_such_a_form_is_named(tmp_path: Path) -> None:
    module = nn.Sequential(seeded(block))
    found = quantized(lowered(tmp_path, module, normal(2, 8, 6, 6)), "int4-weight").layers
    assert [(each.name, each.precision) for each in found] == [("0.0", "fp32"), ("0.3", "int4")]
    assert found[0].reason == "ai-edge-quantizer has no int4-weight of DEPTHWISE_CONV_2D"


def test_weights_that_nobody_uses_are_told_so(tmp_path: Path) -> None:
    def first(x: Tensor, used: nn.Module, _unused: nn.Module) -> Any:
        return used(x)

    module = Calls(first, seeded(lambda: nn.Linear(64, 32)), seeded(lambda: nn.Linear(64, 32)))
    states = quantized(lowered(tmp_path, module, normal(2, 64)), "int8-dynamic").layers
    assert [(each.precision, each.reason) for each in states] == [
        ("int8", ""),
        ("fp32", "no operator of the file has its weights"),
    ]


def test_a_node_is_of_the_innermost_layer_that_it_stands_in() -> None:
    outer, inner = (Layer(name=name, kind="Linear", weights=4) for name in ("part", "part.table"))
    assert marks.said(["", "part", "part.table.rows"], [outer, inner]) == "layer:part.table;"
    assert marks.said(["", "part", "part.tablet"], [outer, inner]) == "layer:part;"
    assert marks.said(["", "other"], [outer, inner]) == ""
    assert marks.said([""], [Layer(name="", kind="Linear", weights=4)]) == "layer:;"
