"""Deployed forms: what replaces a module, where, and that the user's model does not change."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from deploypipe import ModelSpec
from deploypipe.capture import Program, capture, deployed, resolve
from deploypipe.errors import DeployError
from deploypipe.ops import LLTM, PackedLLTM
from deploypipe.runtimes import Form, torchscript


class Reader(torch.nn.Module):
    """Two names for one layer, and a plain reference to it."""

    def __init__(self) -> None:
        super().__init__()
        self.lltm = LLTM(3, 4)
        self.again = self.lltm
        self.aside = [self.lltm]
        self.head = torch.nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output, _ = self.lltm(x.transpose(0, 1))
        return self.head(self.again(output[..., :3])[1][0] + self.aside[0].weight.mean())


class Scale(torch.nn.Module):
    """A user's own module, which is deployed as another."""

    def __init__(self, form: Callable[[Scale], Any]) -> None:
        super().__init__()
        self.form = form
        self.factor = torch.nn.Parameter(torch.tensor([1.0, 2.0, 4.0]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.factor

    def deployed(self) -> Any:
        return self.form(self)


class Fixed(torch.nn.Module):
    def __init__(self, factor: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("factor", factor.detach().clone())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.factor


def captured(folder: Path, module: torch.nn.Module, **fields: Any) -> Program:
    given = {"name": "m", "example_inputs": (torch.rand(2, 3),), "input_names": ["x"]} | fields
    spec = resolve(ModelSpec(module=module, **given))
    capture(spec, None, folder)
    return Program.load(spec, folder)


def test_the_model_itself_does_not_change(tmp_path: Path) -> None:
    model = Reader()
    before = copy.deepcopy(model)
    program = captured(tmp_path, model, example_inputs=(torch.rand(2, 5, 3),))
    assert program.facts.ops == ("deploypipe::lltm_packed",)
    assert str(model) == str(before)
    for mine, its in zip(model.parameters(), before.parameters(), strict=True):
        assert torch.equal(mine, its)
        assert mine.requires_grad
    model.train()(torch.rand(2, 5, 3)).sum().backward()
    assert model.lltm.weight.grad is not None


def test_a_layer_with_two_names_stays_one() -> None:
    model = Reader()
    form = deployed(model)
    assert isinstance(form.lltm, PackedLLTM)
    assert form.lltm is form.again
    assert form.aside[0] is form.lltm
    assert form.head is not model.head
    x = torch.rand(2, 5, 3)
    torch.testing.assert_close(form(x), model(x))


def test_tied_parameters_stay_tied() -> None:
    model = torch.nn.Sequential(LLTM(3, 4), torch.nn.Linear(4, 4), torch.nn.Linear(4, 4))
    model[2].weight = model[1].weight
    form = deployed(model)
    assert form[2].weight is form[1].weight


def test_a_model_without_such_modules_is_not_copied() -> None:
    model = torch.nn.Linear(3, 2)
    assert deployed(model) is model


def test_the_model_may_be_such_a_module_itself(tmp_path: Path) -> None:
    model = LLTM(3, 4)
    program = captured(tmp_path, model, example_inputs=(torch.rand(5, 2, 3),), dynamic_axes={"x": {1: "batch"}})
    assert program.facts.ops == ("deploypipe::lltm_packed",)
    assert type(program.spec.module) is LLTM
    assert type(program.module()) is PackedLLTM


def test_every_lane_lowers_the_deployed_form(tmp_path: Path) -> None:
    """TorchScript traces the module and not the graph."""
    program = captured(tmp_path, Reader(), example_inputs=(torch.rand(2, 5, 3),))
    torchscript.lower(program, Form(), tmp_path / "model.pt")
    graph = str(torch.jit.load(tmp_path / "model.pt").inlined_graph)
    assert "deploypipe::lltm_packed" in graph
    assert "deploypipe::lltm(" not in graph


def test_golden_vectors_are_answers_of_the_model_itself(tmp_path: Path) -> None:
    model = Reader()
    for case in captured(tmp_path, model, example_inputs=(torch.rand(2, 5, 3),)).golden():
        with torch.no_grad():
            np.testing.assert_array_equal(case.outputs["output"], model(torch.from_numpy(case.inputs["x"])).numpy())


def test_the_form_is_in_the_mode_of_what_it_replaces() -> None:
    model = torch.nn.Sequential(Scale(lambda module: Fixed(module.factor))).eval()
    assert not deployed(model)[0].training
    assert deployed(model.train())[0].training


def test_a_users_module_is_replaced(tmp_path: Path) -> None:
    program = captured(tmp_path, torch.nn.Sequential(Scale(lambda module: Fixed(module.factor))))
    assert [name for name, _ in program.exported().named_parameters()] == []
    assert [name for name, _ in program.exported().named_buffers()] == ["0.factor"]


def test_forms_within_forms() -> None:
    """What a whole is deployed as may contain parts that are deployed otherwise too."""

    class Whole(Reader):
        def deployed(self) -> torch.nn.Module:
            return torch.nn.Sequential(self.lltm)

    model = torch.nn.ModuleList([Whole()])
    model.append(model[0].lltm)
    form = deployed(model)
    assert isinstance(form[0][0], PackedLLTM)
    assert form[1] is form[0][0]


@pytest.mark.parametrize("keep", ["itself", "hook", "pre-hook", "instance"])
def test_a_module_that_does_more_stays_as_it_is(keep: str) -> None:
    layer = LLTM(3, 4)
    if keep == "hook":
        layer.register_forward_hook(lambda _module, _inputs, output: output)
    elif keep == "pre-hook":
        layer.register_forward_pre_hook(lambda _module, inputs: inputs)
    elif keep == "instance":
        layer.forward = lambda x: x
    else:
        layer = Scale(lambda module: module)
    model = torch.nn.Sequential(layer)
    assert deployed(model) is model


def fails(_: Scale) -> torch.nn.Module:
    raise ValueError("no weights yet")


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (fails, r"deployed\(\) of Scale fails: ValueError: no weights yet"),
        (lambda _: "yes", r"deployed\(\) of Scale returns a str"),
        (lambda module: Fixed(2 * module.factor), "'m' gives other answers than the model"),
        (lambda _: torch.nn.Flatten(0), "'m' gives other answers than the model"),
        (lambda _: torch.nn.Linear(9, 9), "'m' fails on its example inputs in its deployed form"),
    ],
)
def test_a_form_that_will_not_do_says_why(tmp_path: Path, form: Callable[[Scale], Any], said: str) -> None:
    with pytest.raises(DeployError, match=said) as caught:
        captured(tmp_path, torch.nn.Sequential(Scale(form)))
    assert caught.value.cure


def test_a_model_that_cannot_be_copied_says_why() -> None:
    model = torch.nn.Sequential(LLTM(3, 4))
    model.stream = (step for step in range(3))
    with pytest.raises(DeployError, match="Sequential cannot be copied: cannot pickle 'generator'"):
        deployed(model)
