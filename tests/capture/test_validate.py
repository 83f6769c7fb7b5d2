"""What is filled in of a ModelSpec, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from deploypipe import Axis, ModelSpec
from deploypipe.capture import resolve
from deploypipe.errors import DeployError


def spec(**fields: Any) -> ModelSpec:
    given = {"name": "two", "module": torch.nn.Bilinear(3, 3, 2), "example_inputs": (torch.ones(2, 3),) * 2}
    return ModelSpec(**(given | fields))


def test_names_and_a_dynamic_batch_are_filled_in() -> None:
    resolved = resolve(spec())
    assert resolved.input_names == ("input_0", "input_1")
    assert resolved.dynamic_axes == {"input_0": {0: Axis("batch")}, "input_1": {0: Axis("batch")}}


def test_a_single_input_needs_no_tuple_and_no_number() -> None:
    resolved = resolve(spec(module=torch.nn.ReLU(), example_inputs=torch.ones(2, 3)))
    assert resolved.input_names == ("input",)
    assert len(resolved.example_inputs) == 1


def test_the_module_is_put_into_eval_mode() -> None:
    assert not resolve(spec(module=torch.nn.Bilinear(3, 3, 2).train())).module.training


def test_an_empty_mapping_keeps_every_shape() -> None:
    assert resolve(spec(dynamic_axes={})).dynamic_axes == {}


def test_axes_of_one_name_share_the_narrowest_range() -> None:
    axes = {"input_0": {0: Axis("batch", 2, 64)}, "input_1": {-2: "batch"}}
    shared = Axis("batch", 2, 64)
    assert resolve(spec(dynamic_axes=axes)).dynamic_axes == {"input_0": {0: shared}, "input_1": {0: shared}}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "a/b"}, "'a/b' cannot be a folder"),
        ({"name": ""}, "'' cannot be a folder"),
        ({"module": lambda x: x}, "module of the model is a function"),
        ({"example_inputs": ()}, "example_inputs is not a tuple of tensors"),
        ({"example_inputs": (torch.ones(1), 2)}, "example_inputs is not a tuple of tensors"),
        ({"example_inputs": 3}, "example_inputs is not a tuple of tensors"),
        ({"input_names": ["x"]}, r"input_names has 1 names \(x\) for 2 inputs"),
        ({"input_names": ["x", "x"]}, "Give 2 names that differ"),
        ({"dynamic_axes": {"input0": {0: "batch"}}}, "unknown input 'input0'. Did you mean 'input_0'?"),
        ({"dynamic_axes": {"input_0": {2: "batch"}}}, "'input_0' has no axis 2"),
        ({"dynamic_axes": {"input_0": {0: Axis("batch", 0)}}}, "range 0 to"),
        ({"dynamic_axes": {"input_0": {0: Axis("batch", 9, 3)}}}, "range 9 to 3"),
        ({"dynamic_axes": {"input_0": {0: "size", 1: "size"}}}, "axis 'size' is 2 and 3 in the example"),
        ({"dynamic_axes": {"input_0": {0: "my axis"}}}, "the name 'my axis'"),
        ({"calibration": [(torch.ones(2, 3),)]}, "calibration batch is unlike"),
        ({"calibration": [(torch.ones(2, 3), torch.ones(2, 3, dtype=torch.int64))]}, "calibration batch is unlike"),
    ],
)
def test_a_contradiction_is_named(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(DeployError, match=said.replace("?", r"\?")):
        resolve(spec(**fields))


@pytest.mark.parametrize("make", [dict, lambda: None, torch.nn.ReLU])
def test_something_else_than_a_model_spec_is_refused(make: Callable[[], Any]) -> None:
    with pytest.raises(DeployError, match=r"Return a deploypipe\.ModelSpec"):
        resolve(make())
