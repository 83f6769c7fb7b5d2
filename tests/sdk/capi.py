"""The C API through ctypes, as another language would use it."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

OK, INVALID_ARGUMENT, BAD_BUNDLE, UNSUPPORTED, NO_RUNTIME, RUNTIME_FAILED = range(6)
INTERNAL = 7
DTYPES = {1: "float32", 2: "float64", 3: "int8", 4: "uint8", 5: "int32", 6: "int64", 7: "bool"}
_CODES = {name: code for code, name in DTYPES.items()}


class CError(ctypes.Structure):
    """`dp_error`."""

    _fields_ = (("status", ctypes.c_int), ("message", ctypes.c_char * 768), ("cure", ctypes.c_char * 256))


class CTensor(ctypes.Structure):
    """`dp_tensor`."""

    _fields_ = (
        ("dtype", ctypes.c_int),
        ("rank", ctypes.c_int32),
        ("shape", ctypes.c_int64 * 8),
        ("data", ctypes.c_void_p),
    )


class CInfo(ctypes.Structure):
    """`dp_tensor_info`."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("dtype", ctypes.c_int),
        ("rank", ctypes.c_int32),
        ("shape", ctypes.c_int64 * 8),
        ("axes", ctypes.c_char_p * 8),
        ("min", ctypes.c_int64 * 8),
        ("max", ctypes.c_int64 * 8),
    )


class CImage(ctypes.Structure):
    """`dp_image`."""

    _fields_ = (
        ("pixels", ctypes.c_void_p),
        ("width", ctypes.c_int32),
        ("height", ctypes.c_int32),
        ("channels", ctypes.c_int32),
        ("stride", ctypes.c_int64),
    )


class CClass(ctypes.Structure):
    """`dp_class`."""

    _fields_ = (("label", ctypes.c_char_p), ("probability", ctypes.c_double))


class COptions(ctypes.Structure):
    """`dp_options`."""

    _fields_ = (
        ("size", ctypes.c_size_t),
        ("runtime_library", ctypes.c_char_p),
        ("backend_folder", ctypes.c_char_p),
        ("temporary_folder", ctypes.c_char_p),
        ("max_bytes", ctypes.c_uint64),
        ("threads", ctypes.c_int32),
        ("without_op_libraries", ctypes.c_int32),
    )


class SdkError(Exception):
    """What a dp_error says."""

    def __init__(self, error: CError) -> None:
        self.status, self.message, self.cure = error.status, error.message.decode(), error.cure.decode()
        super().__init__(f"{self.message}. {self.cure}")


_POINTERS = ("manifest", "runtime_version", "version", "backends", "verdict_json")
_STRUCTURES = {"input": CInfo, "output": CInfo, "results_tensor": CTensor}


@dataclass(frozen=True)
class Sdk:
    """libdeploypipe in this process.

    Attributes:
        library: It.
        options: What bundles are opened with unless a call says otherwise.
    """

    library: ctypes.CDLL
    options: Mapping[str, Any]

    @classmethod
    def of(cls, tree: Path, **options: Any) -> Sdk:
        """Loads the library of an installed SDK."""
        library = ctypes.CDLL(str(tree / "lib" / "libdeploypipe.so"))
        for name in _POINTERS:
            getattr(library, f"dp_{name}").restype = ctypes.c_char_p
        for name, kind in _STRUCTURES.items():
            getattr(library, f"dp_{name}").restype = ctypes.POINTER(kind)
        for name in ("input_count", "output_count", "results_count", "golden_count"):
            getattr(library, f"dp_{name}").restype = ctypes.c_size_t
        return cls(library, options)

    def call(self, name: str, *arguments: Any) -> None:
        """Calls a function with a dp_error behind its arguments; raises what it says."""
        error = CError()
        status = getattr(self.library, f"dp_{name}")(*arguments, ctypes.byref(error))
        assert status == error.status
        if status:
            raise SdkError(error)

    def open(self, path: Path, **options: Any) -> Model:
        """Opens a bundle."""
        words = {k: str(v).encode() if isinstance(v, Path) else v for k, v in {**self.options, **options}.items()}
        given = COptions(**{"size": ctypes.sizeof(COptions), **words})
        model = ctypes.c_void_p()
        self.call("open", str(path).encode(), ctypes.byref(given), ctypes.byref(model))
        return Model(self, model)


@dataclass
class Model:
    """A `dp_model`."""

    sdk: Sdk
    pointer: ctypes.c_void_p

    def close(self) -> None:
        self.sdk.library.dp_close(self.pointer)
        self.pointer = ctypes.c_void_p()

    def text(self, name: str) -> str:
        """Returns what `dp_manifest` or `dp_runtime_version` gives."""
        found: bytes = getattr(self.sdk.library, f"dp_{name}")(self.pointer)
        return found.decode()

    def infos(self, side: str) -> list[CInfo]:
        """Returns all inputs or outputs."""
        count = getattr(self.sdk.library, f"dp_{side}_count")(self.pointer)
        return [getattr(self.sdk.library, f"dp_{side}")(self.pointer, ctypes.c_size_t(i))[0] for i in range(count)]

    def run(self, *arrays: Array) -> list[Array]:
        """Runs the model on arrays."""
        tensors = (CTensor * len(arrays))(*map(tensor, arrays))
        return self._results("run", tensors, ctypes.c_size_t(len(arrays)))

    def run_image(self, pixels: Array) -> list[Array]:
        return self._results("run_image", ctypes.byref(image(pixels)))

    def prepare(self, pixels: Array, stride: int = 0, number: int = 0) -> Array:
        """Returns the tensor that an image becomes."""
        given = image(pixels, stride)
        return self._results("prepare_image", ctypes.c_size_t(number), ctypes.byref(given))[0]

    def golden_inputs(self, number: int) -> list[Array]:
        return self._results("golden_inputs", ctypes.c_size_t(number))

    def verify(self) -> dict[str, Any]:
        """Returns the verdict."""
        verdict = ctypes.c_void_p()
        self.sdk.call("verify", self.pointer, ctypes.byref(verdict))
        table: dict[str, Any] = json.loads(self.sdk.library.dp_verdict_json(verdict))
        assert table["passed"] == bool(self.sdk.library.dp_verdict_passed(verdict))
        self.sdk.library.dp_verdict_free(verdict)
        return table

    def classes(self, array: Array, row: int = 0, most: int = 100, output: int = 0) -> list[tuple[str, float]]:
        """Runs the model on an array, and names the classes of one row of an output."""
        results = ctypes.c_void_p()
        given = tensor(array)
        self.sdk.call("run", self.pointer, ctypes.byref(given), ctypes.c_size_t(1), ctypes.byref(results))
        found, count = (CClass * most)(), ctypes.c_size_t(most)
        place = (ctypes.c_size_t(output), ctypes.c_int64(row))
        try:
            self.sdk.call("classes", self.pointer, results, *place, found, ctypes.byref(count))
        finally:
            self.sdk.library.dp_results_free(results)
        return [(found[i].label.decode(), found[i].probability) for i in range(count.value)]

    def _results(self, name: str, *arguments: Any) -> list[Array]:
        results = ctypes.c_void_p()
        self.sdk.call(name, self.pointer, *arguments, ctypes.byref(results))
        count = self.sdk.library.dp_results_count(results)
        tensors = [self.sdk.library.dp_results_tensor(results, ctypes.c_size_t(i))[0] for i in range(count)]
        arrays = [array_of(each) for each in tensors]
        self.sdk.library.dp_results_free(results)
        return arrays


def tensor(array: Array) -> CTensor:
    """Returns a view of a contiguous array, which must stay alive."""
    shape = (ctypes.c_int64 * 8)(*array.shape)
    return CTensor(_CODES[str(array.dtype)], array.ndim, shape, array.ctypes.data)


def array_of(given: CTensor) -> Array:
    """Returns a copy of a tensor."""
    shape, dtype = given.shape[: given.rank], np.dtype(DTYPES[given.dtype])
    size = int(np.prod(shape)) * dtype.itemsize
    content = ctypes.string_at(given.data, size) if size else b""
    return np.frombuffer(content, dtype).reshape(shape)


def image(pixels: Array, stride: int = 0) -> CImage:
    """Returns a view of uint8[H,W] or uint8[H,W,C], which must stay alive."""
    height, width, channels = (*pixels.shape, 1)[:3]
    return CImage(pixels.ctypes.data, width, height, channels, stride)
