"""LiteRT's C API through ctypes: every function that is called here, with its types."""

from __future__ import annotations

import ctypes
import functools
import importlib.util
from collections.abc import Callable
from ctypes import POINTER, Structure, c_bool, c_char_p, c_int, c_int32, c_size_t, c_uint32, c_uint64, c_void_p
from pathlib import Path
from typing import Any

from deploypipe.errors import DeployError

DISTRIBUTION = "ai-edge-litert"
CPU = 1

_MAX_RANK = 8
_INTEGER = 2
_ACCELERATORS, _SEVERITY = 24, 25
_ONLY_ERRORS = 3


class Layout(Structure):
    """A shape; no tensor on a CPU has strides."""

    _fields_ = (
        ("rank", c_uint32, 7),
        ("has_strides", c_uint32, 1),
        ("dimensions", c_int32 * _MAX_RANK),
        ("strides", c_uint32 * _MAX_RANK),
    )

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes."""
        return tuple(self.dimensions[: self.rank])

    @classmethod
    def of(cls, shape: tuple[int, ...]) -> Layout:
        """Returns the layout of a shape."""
        return cls(rank=len(shape), dimensions=(c_int32 * _MAX_RANK)(*shape))


class TensorType(Structure):
    """An element type and a shape."""

    _fields_ = (("element", c_int), ("layout", Layout))


class Event(Structure):
    """What the profiler notes."""

    _fields_ = (
        ("tag", c_char_p),
        ("kind", c_int),
        ("start_us", c_uint64),
        ("elapsed_us", c_uint64),
        ("memory", c_size_t * 6),
        ("metadata", c_uint64 * 2),
        ("source", c_int),
    )


class _Value(Structure):
    _fields_ = (("kind", c_int), ("integer", c_uint64))


class _Setting(Structure):
    _fields_ = (("tag", c_int), ("value", _Value))


_SIZES = {Layout: 68, TensorType: 72, Event: 104, _Setting: 24}

_OUT = POINTER(c_void_p)
_COUNT = POINTER(c_size_t)
_TEXT = POINTER(c_char_p)
# A handle stands first in nearly all of them.
_FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "CreateEnvironment": (c_int, POINTER(_Setting), _OUT),
    "CreateModelFromFile": (c_void_p, c_char_p, _OUT),
    "GetNumModelSignatures": (c_void_p, _COUNT),
    "GetModelSignature": (c_void_p, c_size_t, _OUT),
    "GetSignatureKey": (c_void_p, _TEXT),
    "GetNumSignatureInputs": (c_void_p, _COUNT),
    "GetNumSignatureOutputs": (c_void_p, _COUNT),
    "GetSignatureInputName": (c_void_p, c_size_t, _TEXT),
    "GetSignatureOutputName": (c_void_p, c_size_t, _TEXT),
    "GetSignatureInputTensorByIndex": (c_void_p, c_size_t, _OUT),
    "GetSignatureOutputTensorByIndex": (c_void_p, c_size_t, _OUT),
    "GetTensorIndex": (c_void_p, POINTER(c_uint32)),
    "GetRankedTensorType": (c_void_p, POINTER(TensorType)),
    "CreateOptions": (_OUT,),
    "SetOptionsHardwareAccelerators": (c_void_p, c_int),
    "CreateOpaqueOptions": (c_char_p, c_void_p, c_void_p, _OUT),
    "AddOpaqueOptions": (c_void_p, c_void_p),
    "CreateCompiledModel": (c_void_p, c_void_p, c_void_p, _OUT),
    "CompiledModelGetErrorMessages": (c_void_p, _OUT),
    "CompiledModelClearErrors": (c_void_p,),
    "CompiledModelResizeInputTensorNonStrict": (c_void_p, c_size_t, c_size_t, POINTER(c_int), c_size_t),
    "GetCompiledModelOutputTensorLayouts": (c_void_p, c_size_t, c_size_t, POINTER(Layout), c_bool),
    "GetCompiledModelInputBufferRequirements": (c_void_p, c_size_t, c_size_t, _OUT),
    "GetCompiledModelOutputBufferRequirements": (c_void_p, c_size_t, c_size_t, _OUT),
    "CreateManagedTensorBufferFromRequirements": (c_void_p, POINTER(TensorType), c_void_p, _OUT),
    "GetTensorBufferHostMemory": (c_void_p, _OUT),
    "GetTensorBufferSize": (c_void_p, _COUNT),
    "RunCompiledModel": (c_void_p, c_size_t, c_size_t, c_void_p, c_size_t, c_void_p),
    "CompiledModelGetProfiler": (c_void_p, _OUT),
    "StartProfiler": (c_void_p,),
    "StopProfiler": (c_void_p,),
    "GetNumProfilerEvents": (c_void_p, POINTER(c_int)),
    "GetProfilerEvents": (c_void_p, c_int, POINTER(Event)),
}
_WITHOUT_STATUS: dict[str, tuple[Any, ...]] = {
    f"Destroy{what}": (c_void_p,) for what in ("Environment", "Model", "Options", "CompiledModel", "TensorBuffer")
}
_STATUS = {
    1: "invalid argument",
    2: "out of memory",
    3: "runtime failure",
    5: "unsupported",
    6: "not found",
    8: "wrong version",
    500: "the file cannot be read",
    501: "the file is not a model",
}


class StatusError(Exception):
    """A function of LiteRT failed; the text says how."""


class Api:
    """The functions of a loaded LiteRT, named without their prefix `LiteRt`."""

    def __init__(self, library: ctypes.CDLL) -> None:
        """Declares the types of all functions.

        Raises:
            AttributeError: A function is not there.
        """
        self.handle = library._handle
        self.functions: dict[str, Callable[..., int]] = {}
        for name, types in {**_FUNCTIONS, **_WITHOUT_STATUS}.items():
            function = getattr(library, f"LiteRt{name}")
            function.argtypes = types
            function.restype = None if name in _WITHOUT_STATUS else c_int
            self.functions[name] = function

    def call(self, name: str, *arguments: Any) -> None:
        """Calls a function.

        Raises:
            StatusError: It failed.
        """
        if status := self.functions[name](*arguments):
            raise StatusError(_STATUS.get(status, f"status {status}"))

    def get(self, name: str, kind: Callable[[], Any], *arguments: Any) -> Any:
        """Calls a function that writes its result to its last argument, and returns the result."""
        result = kind()
        self.call(name, *arguments, ctypes.byref(result))
        return result if isinstance(result, Structure) else result.value

    def environment(self) -> int:
        """Makes an environment for the CPU alone that prints errors only."""
        settings = (_Setting * 2)(
            _Setting(_ACCELERATORS, _Value(_INTEGER, CPU)), _Setting(_SEVERITY, _Value(_INTEGER, _ONLY_ERRORS))
        )
        made: int = self.get("CreateEnvironment", c_void_p, len(settings), settings)
        return made


@functools.cache
def api() -> Api:
    """Loads LiteRT, once in a process.

    Raises:
        DeployError: It is not installed, or is not the version that is known here.
    """
    assert all(ctypes.sizeof(kind) == size for kind, size in _SIZES.items())
    path = library_path()
    try:
        return Api(ctypes.CDLL(str(path)))
    except (OSError, AttributeError) as error:
        raise DeployError(f"{path.name} cannot be used: {error}", "Run `pip install 'deploypipe[litert]'`.") from error


def library_path() -> Path:
    """Returns the path of LiteRT's library, without importing its package.

    Raises:
        DeployError: It is not installed.
    """
    spec = importlib.util.find_spec("ai_edge_litert")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (path := Path(folder) / "libLiteRt.so").is_file():
            return path
    raise DeployError(f"{DISTRIBUTION} is not installed", "Run `pip install 'deploypipe[litert]'`.")


@functools.cache
def libc() -> Any:
    """Loads what allocates and frees the texts that LiteRT takes and gives."""
    library = ctypes.CDLL(None)
    library.strdup.argtypes, library.strdup.restype = (c_char_p,), c_void_p
    library.free.argtypes, library.free.restype = (c_void_p,), None
    return library
