"""Messages between the pipeline and the process that runs a bundle."""

from __future__ import annotations

import io

import numpy as np
import pytest

from deploypipe.bundle.frames import Frame, receive, send


def test_a_message_arrives_as_it_was_sent() -> None:
    arrays = [np.arange(6, dtype="int64").reshape(2, 3).T, np.float32(2) * np.ones((), "float32"), np.zeros((0, 3))]
    stream = io.BytesIO()
    send(stream, Frame({"command": "run", "ops": ["a::b"]}, arrays))
    send(stream, Frame({"error": "ü"}))
    stream.seek(0)
    first, second = receive(stream), receive(stream)
    assert first is not None
    assert second is not None
    assert first.facts == {"command": "run", "ops": ["a::b"]}
    for sent, received in zip(arrays, first.arrays, strict=True):
        assert (sent.dtype, sent.shape) == (received.dtype, received.shape)
        np.testing.assert_array_equal(sent, received)
    assert second == Frame({"error": "ü"}, [])
    assert receive(stream) is None


@pytest.mark.parametrize("content", [b"", b"\x01\x00", b"\xff\x00\x00\x00\x00\x00\x00\x00", b"\xff" + bytes(40)])
def test_a_stream_that_ends_early_gives_nothing(content: bytes) -> None:
    assert receive(io.BytesIO(content)) is None
