"""`doctor`, `models`, `targets` and `runtimes`, for people and as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from deploypipe import native, runtimes

Cli = Callable[..., Any]


def test_doctor_tells_what_is_here(cli: Cli) -> None:
    facts = json.loads(cli("doctor", "--json", code=0).stdout)
    assert facts["cache"] == os.environ.get("DEPLOYPIPE_CACHE", facts["cache"])
    assert facts["packages"]["torch"]
    assert facts["tools"]["g++"]
    assert set(facts["runtimes"]) == set(runtimes.NAMES)
    assert set(facts["op_libraries"]) == set(native.BINDINGS)
    assert all(each["ok"] or each["reason"] for each in (*facts["runtimes"].values(), *facts["op_libraries"].values()))


def test_doctor_tells_why_not_and_what_to_do(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    facts = json.loads(cli("doctor", "--json", code=0).stdout)
    assert facts["tools"] == {"g++": None, "cmake": None, "ninja": None}
    assert facts["runtimes"]["aotinductor"]["reason"] == "There is no C++ compiler. Run `apt-get install g++`."
    assert facts["runtimes"]["torchscript"] == {"ok": True, "reason": ""}


def test_lists_are_json_too(cli: Cli) -> None:
    models = json.loads(cli("models", "--json", code=0).stdout)
    assert {"mlp", "lltm", "gcwsnet", "mobilenet_v3_small"} <= set(models["models"])
    assert {"digits", "fashion-mnist"} <= set(models["data"])
    targets = json.loads(cli("targets", "--json", code=0).stdout)
    assert [each["name"] for each in targets] == ["browser", "laptop", "mobile", "server"]
    assert targets[0]["artifact"][0]["runtime"] == "onnxruntime"
    found = json.loads(cli("runtimes", "--json", code=0).stdout)
    assert list(found) == list(runtimes.NAMES)
    assert all({"description", "artifact", "precisions", "ok", "reason"} == set(each) for each in found.values())


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("models", ["gcwsnet", "digits"]),
        ("targets", ["mobile", "executorch-fp32-decomposed"]),
        ("runtimes", ["aotinductor", ".onnx", "fp32"]),
        ("doctor", ["onnxruntime", "cmake", "op library for"]),
    ],
)
def test_lists_are_tables_for_people(cli: Cli, command: str, words: list[str]) -> None:
    said = cli(command, code=0).stdout
    assert all(word in said for word in words)
