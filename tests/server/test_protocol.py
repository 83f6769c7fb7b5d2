"""The routes of the Open Inference Protocol v2, asked over HTTP."""

from __future__ import annotations

import httpx
import numpy as np
import pytest

from deploypipe import __version__
from deploypipe.bundle.load import Model

from .conftest import X, numbers, tensor

INFER = "/v2/models/plain/infer"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/v2", {"name": "deploypipe", "version": __version__, "extensions": ["binary_tensor_data"]}),
        ("/v2/", {"name": "deploypipe", "version": __version__, "extensions": ["binary_tensor_data"]}),
        ("/v2/health/live", {"live": True}),
        ("/v2/health/ready", {"ready": True}),
        ("/v2/models/plain/ready", {"name": "plain", "ready": True}),
        ("/v2/models/plain/versions/1/ready", {"name": "plain", "ready": True}),
    ],
)
def test_it_tells_what_it_is_and_how_it_is(http: httpx.Client, path: str, said: object) -> None:
    answer = http.get(path)
    assert (answer.status_code, answer.json()) == (200, said)


@pytest.mark.parametrize("path", ["/v2/models/plain", "/v2/models/plain/versions/1"])
def test_metadata_name_every_tensor(http: httpx.Client, path: str) -> None:
    assert http.get(path).json() == {
        "name": "plain",
        "versions": ["1"],
        "platform": "onnxruntime_onnxv1",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 3]}],
    }


def test_an_answer_holds_what_the_model_says(http: httpx.Client, direct: Model) -> None:
    answer = http.post(INFER, json={"id": "42", "inputs": [tensor(X)]})
    table = answer.json()
    assert {name: table[name] for name in ("id", "model_name", "model_version")} == {
        "id": "42",
        "model_name": "plain",
        "model_version": "1",
    }
    assert [(each["name"], each["datatype"], each["shape"]) for each in table["outputs"]] == [("y", "FP32", [2, 3])]
    np.testing.assert_array_equal(numbers(answer), direct(X)[0])


def test_data_may_be_flat_or_nested(http: httpx.Client) -> None:
    nested = http.post(INFER, json={"inputs": [tensor(X, data=X.tolist())]})
    flat = http.post("/v2/models/plain/versions/1/infer", json={"inputs": [tensor(X)]})
    np.testing.assert_array_equal(numbers(nested), numbers(flat))


def test_whole_numbers_are_floats_too(http: httpx.Client) -> None:
    whole = http.post(INFER, json={"inputs": [tensor(X[1:], data=[1, 2, 3, 4])]})
    np.testing.assert_array_equal(numbers(whole), numbers(http.post(INFER, json={"inputs": [tensor(X[1:])]})))


def test_an_answer_without_an_id_has_none(http: httpx.Client) -> None:
    assert "id" not in http.post(INFER, json={"inputs": [tensor(X)]}).json()


def test_outputs_can_be_chosen_and_parameters_of_the_request_are_passed_over(http: httpx.Client) -> None:
    request = {"inputs": [tensor(X)], "outputs": [{"name": "y"}], "parameters": {"priority": 3}}
    assert [each["name"] for each in http.post(INFER, json=request).json()["outputs"]] == ["y"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/models/other", 404),
        ("GET", "/v2/models/plain/versions/2", 404),
        ("GET", "/v2/models/other/ready", 404),
        ("POST", "/v2/models/other/infer", 404),
        ("POST", "/v2/models/plain/versions/2/infer", 404),
        ("GET", "/v2/nothing", 404),
        ("GET", INFER, 405),
        ("POST", "/v2/health/live", 405),
    ],
)
def test_what_is_not_there_is_an_error_in_json(http: httpx.Client, method: str, path: str, status: int) -> None:
    answer = http.request(method, path)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
