"""Messages between the pipeline and the process that runs a bundle: safetensors with a length before it."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_LENGTH = struct.Struct("<Q")


@dataclass(frozen=True)
class Frame:
    """One message.

    Attributes:
        facts: Anything that JSON can say.
        arrays: Tensors, in order.
    """

    facts: Mapping[str, Any]
    arrays: Sequence[Array] = field(default=())


def send(stream: IO[bytes], frame: Frame) -> None:
    """Writes a message."""
    import numpy as np
    from safetensors.numpy import save

    tensors = {str(number): np.asarray(array, order="C") for number, array in enumerate(frame.arrays)}
    content = save(tensors, {"facts": json.dumps(dict(frame.facts))})
    stream.write(_LENGTH.pack(len(content)) + content)
    stream.flush()


def receive(stream: IO[bytes]) -> Frame | None:
    """Reads a message; None when the other side is gone."""
    from safetensors.numpy import load

    head = stream.read(_LENGTH.size)
    length = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else 0
    content = stream.read(length)
    if not length or len(content) < length:
        return None
    size = _LENGTH.unpack(content[: _LENGTH.size])[0]
    header = json.loads(content[_LENGTH.size : _LENGTH.size + size])
    tensors = load(content)
    return Frame(json.loads(header["__metadata__"]["facts"]), [tensors[str(n)] for n in range(len(tensors))])
