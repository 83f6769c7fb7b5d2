"""Answers to inference requests, and what the protocol tells of a model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deploypipe.triton.datatypes import DATATYPES, datatype

from . import arrays
from .requests import HEADER, Array, Request

if TYPE_CHECKING:
    from deploypipe.bundle.manifest import Manifest
    from deploypipe.tensors import TensorInfo

# A bundle is one version of a model.
VERSION = "1"
# The protocol's names of the runtimes that have one.
_PLATFORMS = {"onnxruntime": "onnxruntime_onnxv1", "torchscript": "pytorch_libtorch", "aotinductor": "torch_aoti"}


@dataclass(frozen=True)
class Answer:
    """Body and headers of an HTTP answer."""

    body: bytes
    headers: dict[str, str]


def metadata(manifest: Manifest) -> dict[str, Any]:
    """Returns the metadata of a model.

    Raises:
        DeployError: The protocol has no name for a dtype of it.
    """
    runtime = manifest.runtime.name
    return {
        "name": manifest.model,
        "versions": [VERSION],
        "platform": _PLATFORMS.get(runtime, f"deploypipe_{runtime}"),
        "inputs": [_tensor(info) for info in manifest.inputs],
        "outputs": [_tensor(info) for info in manifest.outputs],
    }


def _tensor(info: TensorInfo) -> dict[str, Any]:
    shape = [size if isinstance(size, int) else -1 for size in info.shape]
    return {"name": info.name, "datatype": datatype(info.dtype), "shape": shape}


def answer(model: str, request: Request, asked: Mapping[str, bool], outputs: Mapping[str, Array]) -> Answer:
    """Returns the answer to a request.

    Args:
        model: Its name.
        request: Whose id is echoed.
        asked: Outputs, and whether each is sent as bytes.
        outputs: What the model gave.

    Raises:
        RefusedError: An output cannot be sent as JSON.
    """
    parts = [arrays.to_bytes(outputs[name]) for name, binary in asked.items() if binary]
    table = {
        **({} if request.id is None else {"id": request.id}),
        "model_name": model,
        "model_version": VERSION,
        "outputs": [_output(name, outputs[name], binary) for name, binary in asked.items()],
    }
    head = json.dumps(table, separators=(",", ":"), allow_nan=False).encode()
    if not parts:
        return Answer(head, {"Content-Type": "application/json"})
    headers = {"Content-Type": "application/octet-stream", HEADER: str(len(head))}
    return Answer(b"".join([head, *parts]), headers)


def _output(name: str, array: Array, binary: bool) -> dict[str, Any]:
    info = {"name": name, "datatype": DATATYPES[array.dtype.name], "shape": list(array.shape)}
    if binary:
        return info | {"parameters": {"binary_data_size": array.nbytes}}
    return info | {"data": arrays.to_json(name, array)}
