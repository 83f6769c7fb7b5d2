"""The bundle proves itself on this machine, and its server answers as it does."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np
import pytest

import deploypipe
from deploypipe.bundle.load import Model
from deploypipe.tensors import load_cases
from deploypipe.triton.datatypes import datatype

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    """The bundle, as Python loads it."""
    with deploypipe.load(HERE / "bundle") as loaded:
        yield loaded


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server that is ready, on a free port."""
    command = [sys.executable, "-m", "server", "--port", "0"]
    process = subprocess.Popen(command, cwd=HERE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        url = process.stdout.readline().split()[-1]
        _wait(f"{url}/v2/health/ready")
        yield url
    finally:
        process.terminate()
        process.wait()


def test_the_bundle_verifies_itself(model: Model) -> None:
    """Its golden vectors come out as they did where it was built."""
    verdict = model.verify()
    assert verdict.passed, verdict.failures


def test_the_server_answers_what_the_model_says(model: Model, address: str) -> None:
    """A request by HTTP and a run in this process give the same numbers."""
    manifest = model.manifest
    case = load_cases(HERE / "bundle" / "golden.safetensors", manifest.inputs, manifest.outputs)[0]
    body = json.dumps({"inputs": [_tensor(name, array) for name, array in case.inputs.items()]}).encode()
    with urlopen(f"{address}/v2/models/{manifest.model}/infer", body) as response:
        answered = {each["name"]: each for each in json.load(response)["outputs"]}
    for name, expected in model.run(case.inputs).items():
        given = np.array(answered[name]["data"], expected.dtype).reshape(answered[name]["shape"])
        np.testing.assert_array_equal(given, expected)


def _tensor(name: str, array: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype(str(array.dtype)), "shape": array.shape, "data": array.ravel().tolist()}


def _wait(url: str) -> None:
    for _ in range(600):
        try:
            with urlopen(url):
                return
        except HTTPError as error:
            if "error" in (said := json.load(error)):
                raise AssertionError(said["error"]) from None
            time.sleep(0.1)
    raise AssertionError("The server did not become ready in a minute.")
