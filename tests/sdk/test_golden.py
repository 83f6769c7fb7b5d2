"""Golden vectors of a stranger: a safetensors file that lies about its tensors is refused before anything is loaded."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from deploypipe.bundle.manifest import GOLDEN
from tests.bundle.damage import mend

from .capi import BAD_BUNDLE, Sdk, SdkError
from .conftest import write_bundle


def tensor(begin: int, end: int, shape: list[Any], dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def written(header: dict[str, Any] | bytes, data: int, length: int | None = None) -> bytes:
    """Returns a safetensors file with a header of one's own."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + bytes(data)


X, Y = "0.inputs.x", "0.outputs.y"
GOOD = {X: tensor(0, 12, [1, 3]), Y: tensor(12, 24, [1, 3])}
FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "it has no header"),
    "cut off": (b"\x10\0\0\0", "it has no header"),
    "header beyond the end": (written(GOOD, 24, length=10_000), "its header is cut off"),
    "huge header": (written(GOOD, 24, length=1 << 40), "its header is larger than 16 MB"),
    "no JSON": (written(b"nothing!", 24), "parse error"),
    "data cut off": (written(GOOD, 23), "it is cut off"),
    "more data": (written(GOOD, 28), "it has more bytes than its tensors"),
    "no tensors": (written({}, 0), "it has no tensors"),
    "overlap": (written(GOOD | {Y: tensor(8, 20, [1, 3])}, 20), "its tensors overlap or leave gaps"),
    "gap": (written(GOOD | {Y: tensor(16, 28, [1, 3])}, 28), "its tensors overlap or leave gaps"),
    "size that overflows": (
        written(GOOD | {Y: tensor(12, 24, [1 << 62, 1 << 62])}, 24),
        f"{Y}: The number of elements of a tensor overflows",
    ),
    "bytes that overflow": (
        written(GOOD | {Y: tensor(12, 24, [1 << 62])}, 24),
        f"{Y}: The bytes of a tensor overflow",
    ),
    "size beyond 64 bits": (
        written(GOOD | {Y: tensor(12, 24, [1 << 64])}, 24),
        f"{Y}.shape.0: Input should be a valid integer",
    ),
    "negative size": (written(GOOD | {Y: tensor(12, 24, [-1, -3])}, 24), f"{Y}: A tensor has a negative size: -1"),
    "negative offset": (written(GOOD | {Y: tensor(-12, 0, [1, 3])}, 24), f"{Y}: its offsets do not fit its shape"),
    "other offsets": (written(GOOD | {Y: tensor(12, 20, [1, 3])}, 24), f"{Y}: its offsets do not fit its shape"),
    "offset that overflows": (
        written(GOOD | {Y: tensor((1 << 63) - 4, 8, [1, 3])}, 24),
        f"{Y}: its offsets do not fit its shape",
    ),
    "one offset": (
        written(GOOD | {Y: {"dtype": "F32", "shape": [3], "data_offsets": [12]}}, 24),
        f"{Y}: there should be two offsets",
    ),
    "not aligned": (
        written({X: tensor(0, 1, [1], "U8"), Y: tensor(1, 13, [1, 3])}, 13),
        f"{Y}: it is not aligned",
    ),
    "unknown dtype": (written(GOOD | {Y: tensor(12, 24, [6], "F16")}, 24), f"{Y}.dtype: there is no dtype 'F16'"),
    "rank 9": (written(GOOD | {Y: tensor(12, 16, [1] * 9)}, 16), f"{Y}: there are more than 8 axes"),
    "no output": (written({X: GOOD[X]}, 12), f"'{Y}'"),
    "no number": (written(GOOD | {"x": tensor(24, 24, [0])}, 24), "'x' does not begin with the number of a case"),
    "a case of many": (written(GOOD | {"9999999999.inputs.x": tensor(24, 24, [0])}, 24), "'1.inputs.x'"),
}


@pytest.mark.parametrize(("content", "said"), FILES.values(), ids=FILES)
def test_a_file_that_lies(sdk: Sdk, bundle: Path, scratch: Path, content: bytes, said: str) -> None:
    (bundle / GOLDEN).write_bytes(content)
    mend(bundle)
    with pytest.raises(SdkError) as caught:
        sdk.open(bundle)
    error = caught.value
    assert error.status == BAD_BUNDLE
    assert error.message.startswith(f"golden.safetensors holds no golden vectors of it: {said}")
    assert error.cure == "Build the bundle again."
    assert not list(scratch.iterdir())


def test_every_dtype_is_read(sdk: Sdk, tmp_path: Path) -> None:
    dtypes = ["float32", "float64", "int8", "uint8", "int32", "int64", "bool"]
    info = {"dtype": "float32", "shape": ["batch", 3]}
    inputs = [{"name": dtype, **info, "dtype": dtype} for dtype in dtypes]
    bundle = write_bundle(tmp_path / "bundle", inputs=inputs)
    arrays = {dtype: np.arange(6).reshape(2, 3).astype(dtype) for dtype in dtypes}
    golden = {f"0.inputs.{name}": array for name, array in arrays.items()}
    save_file(golden | {"0.outputs.y": 2 * arrays["float32"]}, bundle / GOLDEN)
    mend(bundle)
    model = sdk.open(bundle)
    for found, array in zip(model.golden_inputs(0), arrays.values(), strict=True):
        np.testing.assert_array_equal(found, array)
        assert found.dtype == array.dtype
    assert model.verify()["passed"]
    model.close()


def test_golden_vectors_that_do_not_fit_the_model(sdk: Sdk, bundle: Path) -> None:
    save_file({X: np.ones((65, 3), "float32"), Y: np.ones((65, 3), "float32")}, bundle / GOLDEN)
    mend(bundle)
    model = sdk.open(bundle)
    with pytest.raises(SdkError) as caught:
        model.verify()
    assert str(caught.value) == "Input 'x' is float32[65,3]. It must be x float32[batch,3] with batch 1 to 64."
    model.close()
