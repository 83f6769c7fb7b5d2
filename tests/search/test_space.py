"""The space of settings, and what is tried first."""

from __future__ import annotations

from deploypipe.layers import Layer
from deploypipe.search import space
from deploypipe.search.candidate import Candidate
from deploypipe.search.space import Group, Space


def layers(*names: str) -> list[Layer]:
    return [Layer(name=name, kind="Linear", weights=10) for name in names]


def test_few_layers_are_groups_of_their_own() -> None:
    assert [each.name for each in space.groups(layers("body.0", "body.2", "head"))] == ["body.0", "body.2", "head"]


def test_many_layers_are_taken_together_by_block() -> None:
    names = [f"features.{block}.conv.{layer}" for block in range(12) for layer in range(2)]
    groups = space.groups(layers(*names, "head"))
    assert [each.name for each in groups] == [*(f"features.{block}.conv" for block in range(12)), "head"]
    assert groups[0].layers == tuple(f"features.0.conv.{layer}" for layer in range(2))


def test_a_layer_that_stays_float_anyhow_is_in_no_group() -> None:
    cws = Layer(name="cws", kind="CWS", weights=10, float_only=True)
    assert [each.name for each in space.groups([cws, *layers("head")])] == ["head"]


def test_a_model_without_weights_has_no_groups() -> None:
    assert space.groups([]) == ()


def test_every_precision_alone_comes_before_those_with_the_most_sensitive_group_spared() -> None:
    area = Space(("fp32", "int8-static"), (Group("head", ("head",)), Group("body", ("body",))), ())
    assert [each.label for each in area.first()] == ["fp32", "int8-static", "int8-static, head float"]


def test_a_setting_names_the_layers_that_it_keeps() -> None:
    area = Space(("fp32", "int8-static"), (Group("body", ("body.0", "body.2")), Group("head", ("head",))), ())
    assert area.layers(Candidate(precision="int8-static", kept_float=("body",))) == ("body.0", "body.2")


def test_of_a_model_with_one_group_nothing_is_spared() -> None:
    area = Space(("fp32", "int8-static"), (Group("head", ("head",)),), ())
    assert [each.label for each in area.first()] == ["fp32", "int8-static"]
