"""Capture: the exported graph, its facts, its golden vectors, and what is said of a model that fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from deploypipe import Axis, ModelSpec
from deploypipe.capture import Program, capture, resolve
from deploypipe.errors import DeployError
from deploypipe.ops import CWS, LLTM


class Calls(torch.nn.Module):
    """Does what a function does."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(x)


def captured(folder: Path, module: torch.nn.Module, max_size: int | None = None, **fields: Any) -> Program:
    given = {"name": "m", "example_inputs": (torch.rand(2, 3),), "input_names": ["x"]} | fields
    spec = resolve(ModelSpec(module=module, **given))
    capture(spec, max_size, folder)
    return Program.load(spec, folder)


def test_shapes_are_told_with_the_names_of_the_axes(tmp_path: Path) -> None:
    program = captured(tmp_path, Calls(lambda x: (x.sum(1), torch.cat([x, x]))), output_names=["sum", "twice"])
    assert [info.describe() for info in program.facts.inputs] == ["x float32[batch,3]"]
    assert [info.describe() for info in program.facts.outputs] == ["sum float32[batch]", "twice float32[2*batch,3]"]
    assert program.facts.axes["batch"].model_dump() == {"min": 1, "max": 1024}
    assert program.facts.ops == ()


def test_golden_vectors_hold_what_the_model_answers(tmp_path: Path) -> None:
    module = torch.nn.Linear(3, 2)
    cases = captured(tmp_path, module).golden()
    assert [case.inputs["x"].shape for case in cases] == [(1, 3), (5, 3)]
    for case in cases:
        with torch.no_grad():
            answer = module(torch.from_numpy(case.inputs["x"])).numpy()
        np.testing.assert_array_equal(case.outputs["output"], answer)


def test_a_target_that_plans_memory_bounds_the_axes(tmp_path: Path) -> None:
    assert captured(tmp_path, torch.nn.ReLU(), max_size=64).facts.axes["batch"].max == 64


def test_a_mapping_of_outputs_is_flattened(tmp_path: Path) -> None:
    program = captured(tmp_path, Calls(lambda x: {"a": x, "b": (x + 1, x + 2)}))
    assert [info.name for info in program.facts.outputs] == ["output_0", "output_1", "output_2"]


def test_inputs_and_outputs_may_be_scalars(tmp_path: Path) -> None:
    program = captured(tmp_path, Calls(lambda x: x * 2), example_inputs=(torch.tensor(3.0),))
    assert program.facts.inputs[0].shape == program.facts.outputs[0].shape == ()
    assert program.golden()[0].inputs["x"].shape == ()


def test_a_module_may_take_any_number_of_inputs(tmp_path: Path) -> None:
    class Total(torch.nn.Module):
        def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
            return sum(inputs, torch.zeros(1))

    program = captured(tmp_path, Total(), example_inputs=(torch.rand(2, 3),) * 3, input_names=["a", "b", "c"])
    assert [info.name for info in program.facts.inputs] == ["a", "b", "c"]


def test_custom_ops_are_listed_and_can_be_decomposed(tmp_path: Path) -> None:
    program = captured(tmp_path, CWS(3, 4))
    assert program.facts.ops == ("deploypipe::cws_dense",)
    x = torch.rand(6, 3)
    decomposed = program.decomposed()
    assert not any("deploypipe" in str(node.target) for node in decomposed.graph.nodes)
    for one, other in zip(decomposed.module()(x), program.exported().module()(x), strict=True):
        assert torch.equal(one, other)


def test_an_op_whose_reference_loops_over_a_dynamic_axis_says_so(tmp_path: Path) -> None:
    axes = {"x": {0: "time", 1: "batch"}}
    program = captured(tmp_path, LLTM(3, 2), example_inputs=(torch.rand(4, 2, 3),), dynamic_axes=axes)
    with pytest.raises(DeployError, match=r"deploypipe::lltm_packed cannot be decomposed: the axis time"):
        program.decomposed()


def test_the_score_of_the_model_itself_is_recorded(tmp_path: Path) -> None:
    def evaluate(predict: Callable[..., Any]) -> float:
        (output,) = predict(np.full((300, 3), 2, "float32"))
        return float(output.mean())

    assert captured(tmp_path, Calls(lambda x: x * x), evaluate=evaluate).facts.scores == {"accuracy": 4}


def fails(_: torch.Tensor) -> torch.Tensor:
    raise ValueError("the lookup table is empty")


def refuses_others(x: torch.Tensor) -> torch.Tensor:
    if x.shape[0] > 2:
        raise ValueError("only two rows")
    return x


def branches(x: torch.Tensor) -> torch.Tensor:
    return x if x.sum() > 0 else -x


@pytest.mark.parametrize(
    ("function", "fields", "said"),
    [
        (fails, {}, "'m' fails on its example inputs: ValueError: the lookup table is empty"),
        (refuses_others, {}, "'m' fails on .* ValueError: only two rows"),
        (branches, {}, "'m' cannot be exported with batch dynamic"),
        (lambda x: x.view(2, 3), {}, "'m' fails on "),
        (lambda x: x + torch.ones(17, 3), {"example_inputs": (torch.ones(17, 3),)}, "cannot be exported with batch"),
        (lambda _: "text", {}, "'m' returns something that is not a tensor"),
        (lambda _: None, {}, "'m' returns something that is not a tensor"),
        (lambda _: (), {}, "'m' returns something that is not a tensor"),
        (lambda x: x, {"output_names": ["a", "b"]}, "output_names has 2 names"),
        (lambda x: x + 1, {"output_names": ["x"]}, "'x' is the name of an input and of an output"),
        (lambda x: x.bfloat16(), {}, "bfloat16, which numpy does not have"),
        (lambda x: x + 1, {"example_inputs": (torch.ones(2, 3, dtype=torch.bfloat16),)}, "bfloat16, which numpy"),
    ],
)
def test_a_model_that_cannot_be_captured_says_why(
    tmp_path: Path, function: Callable[..., Any], fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(DeployError, match=said) as caught:
        captured(tmp_path, Calls(function), **fields)
    assert caught.value.cure


@pytest.mark.parametrize("evaluate", [lambda _: 1 / 0, lambda predict: predict(np.ones(7))[0], lambda _: "much"])
def test_an_evaluation_that_fails_is_named(tmp_path: Path, evaluate: Callable[..., Any]) -> None:
    with pytest.raises(DeployError, match="evaluat"):
        captured(tmp_path, torch.nn.Linear(3, 2), evaluate=evaluate)


def test_an_op_of_nobody_is_refused(tmp_path: Path) -> None:
    with torch.library._scoped_library("strange", "DEF") as library:
        library.define("triple(Tensor x) -> Tensor")
        library.impl("triple", lambda x: 3 * x, "CompositeExplicitAutograd")
        library.impl("triple", torch.empty_like, "Meta")
        with pytest.raises(DeployError, match="No op library provides the op strange::triple"):
            captured(tmp_path, Calls(torch.ops.strange.triple))


def test_an_axis_may_have_a_single_size(tmp_path: Path) -> None:
    program = captured(tmp_path, torch.nn.ReLU(), dynamic_axes={"x": {0: Axis("batch", 2, 2)}})
    assert program.facts.inputs[0].shape == (2, 3)
