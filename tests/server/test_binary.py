"""Triton's binary tensor extension: by hand, and by Triton's own client."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from benchmarks import serving
from deploypipe.bundle.load import Model

from .conftest import X, inside, tensor, verified

INFER = "/v2/models/plain/infer"
HEADER = "Inference-Header-Content-Length"


def packed(table: dict[str, Any], *arrays: Any, length: str | None = None) -> dict[str, Any]:
    """What a client posts: JSON, and bytes behind it."""
    head = json.dumps(table).encode()
    return {
        "content": b"".join([head, *(array.tobytes() for array in arrays)]),
        "headers": {HEADER: str(len(head)) if length is None else length},
    }


def info(size: int = X.nbytes, **changes: Any) -> dict[str, Any]:
    """An input whose data are behind the JSON."""
    described = tensor(X, parameters={"binary_data_size": size}, **changes)
    del described["data"]
    return described


def test_bytes_come_back_behind_the_json(http: httpx.Client, direct: Model) -> None:
    answer = http.post(INFER, **packed({"inputs": [info()], "parameters": {"binary_data_output": True}}, X))
    assert answer.headers["content-type"] == "application/octet-stream"
    length = int(answer.headers[HEADER])
    (output,) = json.loads(answer.content[:length])["outputs"]
    assert output == {"name": "y", "datatype": "FP32", "shape": [2, 3], "parameters": {"binary_data_size": 24}}
    given = np.frombuffer(answer.content[length:], np.float32).reshape(2, 3)
    np.testing.assert_array_equal(given, direct(X)[0])


def test_each_output_says_whether_it_is_bytes(http: httpx.Client) -> None:
    outputs = [{"name": "y", "parameters": {"binary_data": False}}]
    request = {"inputs": [info()], "outputs": outputs, "parameters": {"binary_data_output": True}}
    answer = http.post(INFER, **packed(request, X))
    assert answer.headers["content-type"] == "application/json"
    assert len(answer.json()["outputs"][0]["data"]) == 6


@pytest.mark.parametrize(
    ("request_", "arrays", "length", "said"),
    [
        ({"inputs": [info()]}, [X[:1]], None, "has 16 bytes, and its shape [2, 4] takes 32"),
        ({"inputs": [info(16)]}, [X], None, "has 16 bytes"),
        ({"inputs": [info()]}, [X, X], None, "32 bytes behind the JSON belong to no input"),
        ({"inputs": [info(-1)]}, [X], None, "binary_data_size of input 'x' is -1"),
        ({"inputs": [info(shape=[1 << 62, 4])]}, [X], None, "takes"),
        ({"inputs": [info()]}, [X], "99999", "Set it to the bytes of the JSON"),
        ({"inputs": [info()]}, [X], "-1", "Set it to the bytes of the JSON"),
        ({"inputs": [info()]}, [X], "0", "not an inference request"),
    ],
)
def test_wrong_lengths_are_refused(
    http: httpx.Client, request_: dict[str, Any], arrays: list[Any], length: str | None, said: str
) -> None:
    answer = http.post(INFER, **packed(request_, *arrays, length=length))
    assert (answer.status_code, said in answer.json()["error"]) == (400, True), answer.text


@pytest.mark.parametrize("binary", [True, False])
def test_tritons_client_works_with_it(running: serving.Server, direct: Model, binary: bool) -> None:
    triton = pytest.importorskip("tritonclient.http")
    client = triton.InferenceServerClient(running.url.removeprefix("http://"))
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("plain", "1")
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    given = client.get_model_metadata("plain")["inputs"][0]
    wanted = triton.InferInput(given["name"], list(X.shape), given["datatype"])
    wanted.set_data_from_numpy(X, binary_data=binary)
    answer = client.infer(
        "plain", [wanted], outputs=[triton.InferRequestedOutput("y", binary_data=binary)], request_id="7"
    )
    np.testing.assert_array_equal(answer.as_numpy("y"), direct(X)[0])
    assert answer.get_response()["id"] == "7"
    with pytest.raises(Exception, match="It must be x float32"):
        client.infer("plain", [triton.InferInput("x", [2, 3], "FP32").set_data_from_numpy(X[:, :3])])


def test_nan_is_refused_where_an_op_is_undefined_for_it(built_hashing_onnx: Path) -> None:
    """JSON has no NaN, but bytes have."""
    x = np.full((2, 6), np.nan, np.float32)
    with inside(built_hashing_onnx) as client:
        assert verified(client) == {"ready": True}
        (described,) = client.get("/v2/models/hashing").json()["inputs"]
        request = {"inputs": [info(x.nbytes, name=described["name"], shape=[2, 6])]}
        answer = client.post("/v2/models/hashing/infer", **packed(request, x))
        assert (answer.status_code, "NaN or infinity" in answer.json()["error"]) == (400, True)
        request["outputs"] = [{"name": "t"}, {"name": "index"}]
        found = client.post("/v2/models/hashing/infer", **packed(request, np.ones_like(x))).json()["outputs"]
        assert [each["name"] for each in found] == ["t", "index"]
        assert all(isinstance(number, int) for number in found[1]["data"])
