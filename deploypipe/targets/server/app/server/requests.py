"""Inference requests: JSON, or JSON with the tensors' bytes behind it, as Triton's clients send them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, Field, StrictStr, ValidationError

from . import arrays
from .errors import RefusedError

Array = np.ndarray[Any, Any]

HEADER = "Inference-Header-Content-Length"
# Parameters of a tensor that change what is meant by it; one that is not known cannot be passed over.
_OF_INPUT, _OF_OUTPUT = {"binary_data_size"}, {"binary_data"}


class RequestInput(BaseModel):
    """An input as the protocol describes it."""

    name: StrictStr
    shape: list[Annotated[int, Field(strict=True, ge=0)]]
    datatype: StrictStr
    parameters: dict[str, Any] = {}
    data: Any = None

    def binary_size(self) -> int | None:
        """Returns how many bytes behind the JSON are this input's, or None when its data are in the JSON."""
        size = self.parameters.get("binary_data_size")
        if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 0):
            raise RefusedError(400, f"The binary_data_size of input '{self.name}' is {size!r}", "Send its bytes.")
        return size


class RequestOutput(BaseModel):
    """An output that is asked for."""

    name: StrictStr
    parameters: dict[str, Any] = {}


class Request(BaseModel):
    """An inference request, without the bytes behind it."""

    id: StrictStr | None = None
    parameters: dict[str, Any] = {}
    inputs: list[RequestInput]
    outputs: list[RequestOutput] | None = None

    def asked(self, names: Sequence[str]) -> dict[str, bool]:
        """Returns the outputs to answer with, in that order, and whether each is sent as bytes.

        Args:
            names: The outputs of the model.

        Raises:
            RefusedError: One is unknown.
        """
        plain = _flag(self.parameters, "binary_data_output", False)
        if not self.outputs:
            return dict.fromkeys(names, plain)
        for output in self.outputs:
            if output.name not in names:
                raise RefusedError(400, f"There is no output '{output.name}'", f"Known are {', '.join(names)}.")
            _refuse_unknown(f"output '{output.name}'", output.parameters, _OF_OUTPUT)
        return {output.name: _flag(output.parameters, "binary_data", plain) for output in self.outputs}


def parse(body: bytes, header: str | None) -> tuple[Request, dict[str, Array]]:
    """Reads a request and its tensors.

    Args:
        body: Of the HTTP request.
        header: Length of the JSON at its beginning; None when it is JSON throughout.

    Raises:
        RefusedError: It is not what the protocol says.
    """
    length = len(body) if header is None else _length(header, len(body))
    request = _validated(body[:length])
    found: dict[str, Array] = {}
    rest = memoryview(body)[length:]
    for each in request.inputs:
        if each.name in found:
            raise RefusedError(400, f"Input '{each.name}' is there twice", "Give each input once.")
        _refuse_unknown(f"input '{each.name}'", each.parameters, _OF_INPUT)
        found[each.name], rest = _array(each, rest)
    if rest:
        raise RefusedError(
            400, f"{len(rest)} bytes behind the JSON belong to no input", "Give each input its binary_data_size."
        )
    return request, found


def _length(header: str, size: int) -> int:
    if not header.isascii() or not header.isdigit() or int(header) > size:
        raise RefusedError(
            400, f"{HEADER} is {header[:40]!r} of {size} bytes", "Set it to the bytes of the JSON at the beginning."
        )
    return int(header)


def _validated(text: bytes) -> Request:
    try:
        return Request.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        found = f"{place}: {first['msg']}" if place else first["msg"]
        raise RefusedError(
            400, f"The body is not an inference request: {found}", "Send one of the Open Inference Protocol v2."
        ) from None


def _array(info: RequestInput, rest: memoryview) -> tuple[Array, memoryview]:
    """Returns the array of an input, and the bytes that belong to the next ones."""
    dtype, size = arrays.dtype_of(info.name, info.datatype), info.binary_size()
    if (size is None) == (info.data is None):
        raise RefusedError(
            400, f"Input '{info.name}' needs either data or binary_data_size", "Send its numbers, or its bytes."
        )
    if size is None:
        return arrays.from_json(info.name, dtype, info.shape, info.data), rest
    return arrays.from_bytes(info.name, dtype, info.shape, rest[:size]), rest[size:]


def _flag(parameters: Mapping[str, Any], name: str, default: bool) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise RefusedError(400, f"The parameter {name} is {value!r}", "Send true or false.")
    return value


def _refuse_unknown(owner: str, parameters: Mapping[str, Any], known: set[str]) -> None:
    if unknown := sorted(set(parameters) - known):
        raise RefusedError(
            400, f"This server does not know the parameter {unknown[0]} of {owner}", f"Known is {', '.join(known)}."
        )
