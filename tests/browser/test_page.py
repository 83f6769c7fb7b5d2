"""The page in Chromium: the bundle proves itself, and a digit that is drawn is named."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.bundle.damage import change_golden, flip, mend

from .verdicts import App, Node, Trained, assert_same_verdict, inlined


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "digit", "scheme"), [("mlp", "0", "light"), ("lltm", "4", "dark"), ("gcwsnet", "0", "light")]
)
def test_a_digit_that_is_drawn_is_named_by_a_model_that_proved_itself(
    trained: Trained, app: App, node: Node, artifacts: Path, name: str, digit: str, scheme: str
) -> None:
    bundle = trained(name)
    [shown] = node("draw.mjs", app(bundle), artifacts / f"browser-{name}.png", digit, scheme)
    assert shown["problems"] == []
    assert shown["state"] == "ready"
    assert shown["badge"] == "Verified: 2 of 2 checks"
    assert_same_verdict(json.loads(shown["verdict"]), inlined(bundle))
    assert shown["digit"] == digit
    assert re.fullmatch(r"\d+\.\d % certain|100 % certain", shown["certainty"])
    assert re.fullmatch(r"\d+\.\d\d ms per run", shown["latency"])
    assert re.fullmatch(r"median of the last \d+", shown["runs"])
    assert [bar[0] for bar in shown["bars"]] == list("0123456789")
    assert shown["isolated"]
    assert (artifacts / f"browser-{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_the_page_predicts_nothing_with_a_bundle_that_failed(
    trained: Trained, app: App, node: Node, artifacts: Path
) -> None:
    bundle = trained("mlp")
    change_golden(bundle)
    mend(bundle)
    [shown] = node("draw.mjs", app(bundle), artifacts / "browser-failed.png", "0")
    assert shown["state"] == "trouble"
    assert shown["badge"] == "Verdict: failed"
    assert shown["trouble"] == inlined(bundle)["failures"]
    assert shown["digit"] == "?"


@pytest.mark.slow
def test_the_page_says_what_is_wrong_with_a_damaged_bundle(
    trained: Trained, app: App, node: Node, artifacts: Path
) -> None:
    place = app(trained("mlp"))
    flip(place / "bundle" / "model.onnx")
    [shown] = node("draw.mjs", place, artifacts / "browser-damaged.png", "0")
    assert shown["state"] == "trouble"
    [sentence] = shown["trouble"]
    assert re.fullmatch(r"model.onnx in http://\S+ was changed: its SHA-256 differs from the manifest", sentence)
    assert shown["cure"] == "Build the bundle again, or get an undamaged copy."
