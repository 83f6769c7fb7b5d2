"""Damaged and hostile folders: one sentence each, and nothing of them is loaded."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.bundle.damage import GOLDEN, edit, flip, mend, truncate

from .hostility import Case, other_sentences
from .verdicts import App, Node

MODEL, MANIFEST = "model.onnx", "manifest.json"

Change = Callable[[Path], Any]


def content(name: str, content: bytes) -> Change:
    return lambda bundle: (bundle / name).write_bytes(content)


def said(**fields: Any) -> Change:
    """Lets the manifest say something else."""
    return lambda bundle: edit(bundle, lambda table: table.update(fields))


def said_of(place: str, key: str, value: object) -> Change:
    """Lets the manifest say something else within one of its tables."""
    return lambda bundle: edit(bundle, lambda table: table[place].update({key: value}))


def golden(content: bytes) -> Change:
    """Golden vectors of these bytes, in a bundle whose digests hide it."""

    def change(bundle: Path) -> None:
        (bundle / GOLDEN).write_bytes(content)
        mend(bundle)

    return change


def tensors(header: object, data: bytes = b"") -> Change:
    """Golden vectors with this header."""
    text = json.dumps(header).encode()
    return golden(struct.pack("<Q", len(text)) + text + data)


def x(shape: list[int], begin: int = 0, end: int = 0, dtype: str = "F32") -> dict[str, object]:
    """A header with one tensor."""
    return {"0.inputs.x": {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}}


EMPTY = x([0])["0.inputs.x"]
MILLION = range(1_000_000)
NO_SENSE = r".+'0\.inputs\.x' has no sizes that make sense"
OVERLAP = {"0.outputs.y": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
PROCESSING = {"outputs": {"z": {"kind": "classes", "labels": ["a"], "softmax": True}}}

FILES: dict[str, Case] = {
    "truncated artifact": (lambda bundle: truncate(bundle / MODEL), None),
    "changed byte": (lambda bundle: flip(bundle / MODEL), None),
    "swapped files": (lambda bundle: shutil.copy(bundle / MODEL, bundle / GOLDEN), None),
    "missing file": (lambda bundle: (bundle / GOLDEN).unlink(), None),
    "no manifest": (lambda bundle: (bundle / MANIFEST).unlink(), None),
    "no bundle of this runtime": (
        said(runtime={"name": "litert", "package": "x", "min_version": "1", "built_with": "1"}),
        "This bundle is for litert; in a browser runs onnxruntime",
    ),
    "newer runtime": (
        said_of("runtime", "min_version", "99.1"),
        r"The bundle needs onnxruntime 99\.1; .+ is installed",
    ),
    "no artifact": (
        lambda bundle: (content(MODEL, b"none")(bundle), mend(bundle)),
        r"onnxruntime-web cannot load model\.onnx: .+",
    ),
}

MANIFESTS: dict[str, Case] = {
    "no JSON": (content(MANIFEST, b'{"model": '), r"bundle/manifest\.json is damaged: .+"),
    "no UTF-8": (content(MANIFEST, b"\xff\xfe"), r"bundle/manifest\.json is damaged: .+"),
    "no table": (content(MANIFEST, b"[]"), r"bundle/manifest\.json is damaged: .+"),
    "nothing but brackets": (content(MANIFEST, b"[" * 1_000_000), r"bundle/manifest\.json is damaged: .+"),
    "too large": (content(MANIFEST, b" " * 16_000_001), None),
    "newer format": (said(deploypipe_bundle=2), None),
    "number for a name": (said(model=1), None),
    "no inputs": (said(inputs=[]), None),
    "missing field": (lambda bundle: edit(bundle, lambda table: table.pop("artifact")), None),
    "text for a size": (said_of("axes", "batch", {"min": 1, "max": "x"}), r".+: axes\.batch\.max: .+ valid integer"),
    "negative size": (said_of("sizes", MODEL, -1), r".+: sizes\.model\.onnx: .+"),
    "size that overflows": (said_of("sizes", MODEL, 2**70), r".+: sizes\.model\.onnx: .+"),
    "terabyte": (said_of("sizes", MODEL, 10**12), r"The files of bundle have 1000\d+ bytes; 1073741824 are the most"),
    "million files": (said(sizes={}, files={f"{number:x}": "" for number in MILLION}), None),
    "path that leaves": (said_of("files", "../x", ""), None),
    "hidden path that leaves": (said_of("files", "lib/../../x", ""), None),
    "absolute path": (said_of("files", "/x", ""), None),
    "path of Windows": (said_of("files", "lib\\x", ""), None),
    "name that cannot be": (said_of("files", "a\nb", ""), None),
    "name with a blank that is none": (said_of("files", "a\u00a0b", ""), r".+ names a file that cannot be: .+"),
    "long name": (said_of("files", "\U0001f600" * 200, ""), r".+ has 0 bytes instead of None|.+ is missing in bundle"),
    "longer name": (said_of("files", "x" * 201, ""), None),
    "name of the folder itself": (said_of("files", "./", ""), None),
    "file that is not listed": (said(artifact="x.onnx"), None),
    "name of a method": (said_of("files", "toString", ""), None),
    "processing of nothing": (said(processing=PROCESSING), None),
}

VECTORS: dict[str, Case] = {
    "cut off": (golden(b"\x01\x02"), ".+: it is too short for a header"),
    "header that is too long": (golden(struct.pack("<Q", 50) + b"{}"), ".+: its header is longer than the file"),
    "header whose length overflows": (golden(b"\xff" * 8), ".+: its header is too large"),
    "header that is no JSON": (golden(struct.pack("<Q", 2) + b"\xff\xfe"), ".+: its header is not JSON"),
    "header that is no table": (tensors([1]), ".+: its header is no table"),
    "shape that overflows": (tensors(x([2**32, 2**32, 4])), r".+'0\.inputs\.x' has another size than its shape says"),
    "size beyond what is exact": (tensors(x([2**62])), NO_SENSE),
    "negative size": (tensors(x([-1])), NO_SENSE),
    "no description": (tensors({"0.inputs.x": None}), NO_SENSE),
    "tensor beyond the file": (tensors(x([4], 0, 16)), ".+: its tensors are not all of its data"),
    "tensors that overlap": (tensors(x([1], 0, 4) | OVERLAP, bytes(4)), r".+'0\.outputs\.y' does not begin where .+"),
    "unknown dtype": (tensors(x([1], 0, 4, "F99"), bytes(4)), r".+'0\.inputs\.x' has the dtype F99"),
    "no tensors": (tensors({}), ".+: its tensors are not all of its data"),
    "case without a number": (tensors({"x": EMPTY}), ".+'x' is not named after a case"),
    "billionth case": (tensors({"999999999.inputs.x": EMPTY}), r".+'0\.inputs\.x' is missing"),
    "million tensors": (
        tensors({f"{n}.inputs.x": EMPTY for n in MILLION}),
        r".+'0\.outputs\.y' is missing",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("cases", [FILES, MANIFESTS, VECTORS], ids=["files", "manifests", "vectors"])
def test_a_hostile_folder_gets_one_sentence(
    app: App, node: Node, onnx_bundle: Path, tmp_path: Path, cases: dict[str, Case]
) -> None:
    bundles = {name: tmp_path / "cases" / str(number) for number, name in enumerate(cases)}
    for name, bundle in bundles.items():
        shutil.copytree(onnx_bundle, bundle)
        cases[name][0](bundle)
    found = node("check.mjs", app(onnx_bundle), *bundles.values())
    assert other_sentences(cases, bundles, found) == {}
