"""The program inside the environment of tflite-runtime: `python -I legacy_worker.py`, started by legacy_process.py.

It may import the standard library, numpy 1 and tflite_runtime, nothing of deploypipe. Requests come on standard
input and answers go to standard output, until the other side closes. A message is

    length of the header    8 bytes, little-endian
    header                  JSON: {"facts": {...}, "arrays": [[dtype, shape], ...]}, dtype as in '<f4'
    contents                the bytes of each array in C order, one after the other

The facts of a request have "command"; those of an answer have "error" where the command failed.

    probe   a file, or nothing for one that adds: can this runtime make an interpreter of it? -> versions
    load    path, threads: keep a file -> signatures, with dtypes and shapes (-1: open) of inputs and outputs
    run     signature, arrays in the order of its inputs -> arrays in the order of its outputs
"""

from __future__ import annotations

import base64
import json
import math
import os
import platform
import signal
import struct
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module, metadata
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_LENGTH = struct.Struct("<Q")
# y = x + x for x float32[2]: the smallest file that makes numbers pass from numpy to a kernel and back.
_ADDITION = base64.b64decode(
    "GAAAAFRGTDMAAA4AFAAQAAwACAAAAAQADgAAABAAAAAYAAAA4AAAAAMAAAABAAAABAAAACj///8BAAAAEAAAAAwAFAAQAAwACAAE"
    "AAwAAAAQAAAAUAAAAFQAAABYAAAAAQAAABQAAAAAAA4AFAAAABAADAALAAQADgAAABAAAAAAAAALDAAAABAAAACA////AQAAAAEA"
    "AAACAAAAAAAAAAAAAAABAAAAAQAAAAEAAAAAAAAAAgAAADAAAAAEAAAA5P///wgAAAAMAAAAAQAAAHkAAAABAAAAAgAAAAwADAAI"
    "AAAAAAAEAAwAAAAIAAAADAAAAAEAAAB4AAAAAQAAAAIAAAABAAAACAAAAAQABAAEAAAA"
)


@dataclass(frozen=True)
class Message:
    """One message.

    Attributes:
        facts: Anything that JSON can say.
        arrays: Tensors, in order.
    """

    facts: Mapping[str, Any]
    arrays: Sequence[Array] = field(default=())


def send(stream: IO[bytes], message: Message) -> None:
    """Writes a message."""
    import numpy as np

    arrays = [np.asarray(array, order="C") for array in message.arrays]
    described = [[array.dtype.str, array.shape] for array in arrays]
    header = json.dumps({"facts": dict(message.facts), "arrays": described}).encode()
    stream.write(_LENGTH.pack(len(header)) + header)
    for array in arrays:
        stream.write(array.tobytes())
    stream.flush()


def receive(stream: IO[bytes]) -> Message | None:
    """Reads a message; None when the other side is gone."""
    import numpy as np

    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    text = stream.read(_LENGTH.unpack(head)[0])
    if len(text) < _LENGTH.unpack(head)[0]:
        return None
    header = json.loads(text)
    arrays: list[Array] = []
    for dtype, shape in header["arrays"]:
        size = np.dtype(dtype).itemsize * math.prod(shape)
        content = stream.read(size)
        if len(content) < size:
            return None
        arrays.append(np.frombuffer(bytearray(content), dtype).reshape(shape))
    return Message(header["facts"], arrays)


@dataclass(frozen=True)
class _Loaded:
    interpreter: Any
    runners: Mapping[str, Any]
    signatures: Mapping[str, Any]


class _Server:
    """Answers requests; keeps the file that was loaded."""

    def __init__(self) -> None:
        self._loaded: _Loaded | None = None

    def answer(self, request: Message) -> Message:
        command = request.facts["command"]
        if command == "probe":
            return Message({"versions": _probe(request.arrays)})
        if command == "load":
            self._loaded = _load(request.facts["path"], request.facts["threads"])
            return Message({"signatures": self._loaded.signatures})
        if self._loaded is None:
            raise ValueError("no file is loaded")
        return Message({}, _run(self._loaded, request.facts["signature"], request.arrays))


def _probe(files: Sequence[Array]) -> dict[str, str]:
    import numpy as np

    made = [_interpreter(model_content=each.tobytes()) for each in files or (np.frombuffer(_ADDITION, np.uint8),)]
    for interpreter in made:
        interpreter.allocate_tensors()
    if not files:
        _check_addition(made[0])
    packages = {name: metadata.version(name) for name in ("tflite-runtime", "numpy")}
    return packages | {"python": platform.python_version()}


def _check_addition(interpreter: Any) -> None:
    import numpy as np

    interpreter.set_tensor(0, np.array([1.5, -2.0], np.float32))
    interpreter.invoke()
    found = interpreter.get_tensor(1).tolist()
    if found != [3.0, -4.0]:
        raise ValueError(f"1.5 + 1.5 and -2 + -2 gave {found}")


def _interpreter(**options: Any) -> Any:
    return import_module("tflite_runtime.interpreter").Interpreter(**options)


def _load(path: str, threads: int | None) -> _Loaded:
    interpreter = _interpreter(model_path=path, num_threads=threads)
    interpreter.allocate_tensors()
    orders = _orders(path)
    runners = {key: interpreter.get_signature_runner(key) for key in orders}
    signatures = {
        key: {
            "inputs": _described(inputs, runners[key].get_input_details()),
            "outputs": _described(outputs, runners[key].get_output_details()),
        }
        for key, (inputs, outputs) in orders.items()
    }
    return _Loaded(interpreter, runners, signatures)


def _described(names: Sequence[str], details: Mapping[str, Any]) -> list[dict[str, Any]]:
    import numpy as np

    return [
        {
            "name": name,
            "dtype": np.dtype(details[name]["dtype"]).name,
            "shape": details[name]["shape_signature"].tolist(),
        }
        for name in names
    ]


def _orders(path: str) -> dict[str, tuple[list[str], list[str]]]:
    """Reads the signatures, each with its inputs and outputs in the order of its graph.

    The runtime gives them by the alphabet, and so does the file. The numbers are those of fields in TensorFlow
    Lite's schema.
    """
    with Path(path).open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        model = _Table(content, _number("<I", content, 0))
        graphs = model.tables(2)
        orders = {}
        for signature in model.tables(7):
            graph = graphs[signature.number(4)]
            inputs = _ordered(signature.tables(0), graph.numbers(1))
            orders[signature.text(2)] = inputs, _ordered(signature.tables(1), graph.numbers(2))
        return orders


def _ordered(maps: Sequence[_Table], tensors: Sequence[int]) -> list[str]:
    """Returns names in the order of the tensors that they stand for; a tensor may have several names."""
    names: dict[int, list[str]] = {}
    for each in maps:
        names.setdefault(each.number(1), []).append(each.text(0))
    return [names[tensor].pop(0) for tensor in tensors if names.get(tensor)]


class _Table:
    """A table of a flatbuffer."""

    def __init__(self, content: mmap, at: int) -> None:
        self._content, self._at = content, at
        self._fields = at - _number("<i", content, at)

    def number(self, field: int) -> int:
        """Returns an unsigned number of 32 bits."""
        at = self._place(field)
        return _number("<I", self._content, at) if at else 0

    def numbers(self, field: int) -> list[int]:
        """Returns a vector of numbers of 32 bits."""
        at = self._target(field)
        count = _number("<I", self._content, at) if at else 0
        return list(struct.unpack_from(f"<{count}i", self._content, at + 4)) if at else []

    def text(self, field: int) -> str:
        """Returns a string."""
        at = self._target(field)
        return bytes(self._content[at + 4 : at + 4 + _number("<I", self._content, at)]).decode() if at else ""

    def tables(self, field: int) -> list[_Table]:
        """Returns a vector of tables."""
        at = self._target(field)
        places = [at + 4 + 4 * index for index in range(_number("<I", self._content, at))] if at else []
        return [_Table(self._content, place + _number("<I", self._content, place)) for place in places]

    def _target(self, field: int) -> int:
        """Returns where a string or vector lies, or 0 where the field is left out."""
        place = self._place(field)
        return place + _number("<I", self._content, place) if place else 0

    def _place(self, field: int) -> int:
        entry = 4 + 2 * field
        inside = entry < _number("<H", self._content, self._fields)
        offset = _number("<H", self._content, self._fields + entry) if inside else 0
        return self._at + offset if offset else 0


def _number(kind: str, content: mmap, at: int) -> int:
    return int(struct.unpack_from(kind, content, at)[0])


def _run(loaded: _Loaded, key: str | None, arrays: Sequence[Array]) -> list[Array]:
    key = next(iter(loaded.signatures), "") if key is None else key
    if key not in loaded.signatures:
        raise ValueError(f"there is no signature '{key}'; the file has {', '.join(loaded.signatures)}")
    signature = loaded.signatures[key]
    _check(signature["inputs"], arrays)
    # The runner resizes where a shape has changed, and copies the outputs out of the arena.
    named = {each["name"]: array for each, array in zip(signature["inputs"], arrays, strict=True)}
    outputs = loaded.runners[key](**named)
    return [outputs[each["name"]] for each in signature["outputs"]]


def _check(inputs: Sequence[Mapping[str, Any]], arrays: Sequence[Array]) -> None:
    """Refuses what is not as the file says; the runtime would resize a fixed axis and give wrong numbers."""
    if len(inputs) != len(arrays):
        raise ValueError(f"{len(arrays)} inputs were given, the file takes {len(inputs)}")
    for wanted, array in zip(inputs, arrays, strict=True):
        fits = len(wanted["shape"]) == array.ndim and all(
            size in {-1, given} for size, given in zip(wanted["shape"], array.shape, strict=True)
        )
        if not fits or wanted["dtype"] != array.dtype.name:
            said = f"{array.dtype.name}{list(array.shape)}"
            raise ValueError(f"{wanted['name']} is {wanted['dtype']}{wanted['shape']}, not {said}")


def main() -> None:
    """Answers requests until the other side closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other side decides when this process ends
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # the runtime prints what it likes on standard output
    server = _Server()
    while (request := receive(sys.stdin.buffer)) is not None:
        try:
            answer = server.answer(request)
        except Exception as error:
            answer = Message({"error": " ".join(str(error).split()) or type(error).__name__})
        send(answers, answer)


if __name__ == "__main__":
    main()
