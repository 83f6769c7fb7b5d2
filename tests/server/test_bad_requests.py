"""Requests that cannot be answered get one sentence, a cure and the right status; the next one is answered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from .conftest import X, inside, numbers, tensor, verified

INFER = "/v2/models/plain/infer"
BAD = [
    (b"", "not an inference request"),
    (b"[1, 2", "not an inference request"),
    (b"\xff\xfe", "not an inference request"),
    (b"[" * 100_000, "recursion limit"),
    (b"[]", "not an inference request"),
    ({}, "inputs: Field required"),
    ({"id": 7, "inputs": []}, "id: Input should be a valid string"),
    ({"inputs": []}, "Give exactly: x float32[batch,4]"),
    ({"inputs": [tensor(X, name="z")]}, "Give exactly: x float32[batch,4]"),
    ({"inputs": [tensor(X), tensor(X)]}, "is there twice"),
    ({"inputs": [tensor(X, datatype="BYTES")]}, "datatype 'BYTES'"),
    ({"inputs": [tensor(X, datatype="FP64")]}, "It must be x float32[batch,4]"),
    ({"inputs": [tensor(X, shape=[2, 3])]}, "shape [8] instead of [2, 3]"),
    ({"inputs": [tensor(X, shape=[1, 8])]}, "It must be x float32[batch,4]"),
    ({"inputs": [tensor(X, shape=[-2, 4])]}, "greater than or equal to 0"),
    ({"inputs": [tensor(X, shape=[2.0, 4])]}, "valid integer"),
    ({"inputs": [tensor(X, shape=[1 << 62, 1 << 62])]}, "instead of"),
    ({"inputs": [tensor(X, data=X.T.tolist())]}, "shape [4, 2] instead of [2, 4]"),
    ({"inputs": [tensor(X, data=[[1, 2], [3]])]}, "not an array of numbers"),
    ({"inputs": [tensor(X, data=["1"] * 8)]}, "not an array of numbers"),
    ({"inputs": [tensor(X, data=[None] * 8)]}, "not an array of numbers"),
    ({"inputs": [tensor(X, data=3)]}, "not an array of numbers"),
    ({"inputs": [tensor(X, data=[True] * 8)]}, "do not fit float32"),
    ({"inputs": [tensor(X, data=[1e300] * 8)]}, "do not fit float32"),
    ({"inputs": [tensor(X, data=[float("nan")] * 8)]}, "do not fit float32"),
    ({"inputs": [tensor(X, data=None)]}, "either data or binary_data_size"),
    ({"inputs": [tensor(X, parameters={"binary_data_size": 32})]}, "either data or binary_data_size"),
    ({"inputs": [tensor(X, parameters={"shared_memory_region": "r"})]}, "does not know the parameter"),
    ({"inputs": [tensor(X)], "outputs": [{"name": "z"}]}, "no output 'z'"),
    ({"inputs": [tensor(X)], "outputs": [{"name": "y", "parameters": {"classification": 2}}]}, "classification"),
    ({"inputs": [tensor(X)], "parameters": {"binary_data_output": "yes"}}, "Send true or false"),
    ({"inputs": [tensor(np.zeros((0, 4)))]}, "x float32[batch,4] with batch 1 to"),
]


@pytest.mark.parametrize(("body", "said"), BAD)
def test_a_bad_request_is_told_what_is_wrong(http: httpx.Client, body: Any, said: str) -> None:
    answer = http.post(INFER, content=body if isinstance(body, bytes) else json.dumps(body))
    assert answer.status_code == 400
    (error,) = answer.json().values()
    assert said in error
    assert error.count(". ") >= 1
    assert numbers(http.post(INFER, json={"inputs": [tensor(X)]})).shape == (2, 3)


def test_a_body_that_is_too_large_is_not_read(onnx_bundle: Path) -> None:
    with inside(onnx_bundle, max_body=1000) as client:
        verified(client)
        large = client.post(INFER, content=b" " * 1001)
        chunked = client.post(INFER, content=iter([b" " * 600, b" " * 600]))
        assert (large.status_code, chunked.status_code) == (413, 413)
        assert "more than 1000 bytes" in large.json()["error"]
        assert client.post(INFER, json={"inputs": [tensor(X)]}).status_code == 200


def test_a_compressed_body_is_refused(http: httpx.Client) -> None:
    answer = http.post(INFER, content=b"", headers={"Content-Encoding": "gzip"})
    assert (answer.status_code, "Send it as it is" in answer.json()["error"]) == (415, True)


def test_a_model_that_fails_is_an_error_of_the_server(onnx_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with inside(onnx_bundle) as client:
        verified(client)
        from deploypipe.bundle.load import Model

        def fail(*_: object) -> None:
            raise RuntimeError("out of memory\nand more")

        monkeypatch.setattr(Model, "run", fail)
        answer = client.post(INFER, json={"inputs": [tensor(X)]})
        assert (answer.status_code, answer.json()["error"]) == (
            500,
            "The model failed: out of memory. The log has the details.",
        )
        assert 'deploypipe_requests_total{model="plain",status="500"} 1.0' in client.get("/metrics").text
