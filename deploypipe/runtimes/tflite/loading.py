"""How a `.tflite` file becomes a model that LiteRT has compiled for the CPU."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from contextlib import ExitStack
from ctypes import c_char_p, c_size_t, c_uint32, c_void_p
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deploypipe.errors import DeployError
from deploypipe.runtimes.tflite import c_api, op_library
from deploypipe.runtimes.tflite.c_api import Api, StatusError, TensorType
from deploypipe.runtimes.tflite.op_library import OpLibrary

_DTYPES = {
    1: "float32",
    2: "int32",
    3: "uint8",
    4: "int64",
    6: "bool",
    7: "int16",
    9: "int8",
    10: "float16",
    11: "float64",
    13: "uint64",
    16: "uint32",
    17: "uint16",
}


@dataclass(frozen=True)
class TensorInfo:
    """An input or output of a signature.

    Attributes:
        name: As in the signature.
        dtype: Of its elements.
        shape: As in the file.
        element: LiteRT's number of the dtype.
        place: The number of the tensor in the file.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    element: int
    place: int


@dataclass(frozen=True)
class Source:
    """What to compile and how; the attributes are the arguments of `CompiledModel.open`."""

    path: Path
    libraries: tuple[Path, ...]
    threads: int
    signature: str | None


@dataclass(frozen=True)
class Opened:
    """A compiled model and all that it needs.

    Attributes:
        source: What was compiled.
        api: LiteRT's functions.
        environment: LiteRT's handle.
        model: The handle of the compiled model.
        signature: The index of the signature that is to run.
        inputs: In the order of the signature.
        outputs: Likewise.
        libraries: Those whose kernels the model may call.
        stack: Frees everything.
    """

    source: Source
    api: Api
    environment: int
    model: int
    signature: int
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    libraries: tuple[OpLibrary, ...]
    stack: ExitStack


def open_model(source: Source, profiling: bool = False) -> Opened:
    """Compiles a model.

    Args:
        source: What to compile.
        profiling: Lets LiteRT take the times of single ops, which costs some even when nobody asks for them.

    Raises:
        DeployError: The file, a library or the signature does not fit.
    """
    api = c_api.api()
    libraries = tuple(op_library.load(library) for library in source.libraries)
    try:
        with ExitStack() as stack:
            environment = _kept(api, stack, "Environment", api.environment())
            made = api.get("CreateModelFromFile", c_void_p, environment, str(source.path).encode())
            file = _kept(api, stack, "Model", made)
            index = _find(api, file, source)
            options = _options(api, stack, source.threads, profiling)
            _register(api, libraries, options, file, source.path)
            made = api.get("CreateCompiledModel", c_void_p, environment, file, options)
            model = _kept(api, stack, "CompiledModel", made)
            found = api.get("GetModelSignature", c_void_p, file, index)
            inputs, outputs = _tensors(api, found, "Input"), _tensors(api, found, "Output")
            return Opened(source, api, environment, model, index, inputs, outputs, libraries, stack.pop_all())
    except StatusError as error:
        for library in libraries:
            library.error()  # it would be taken for one of another model
        cure = "Give it the op libraries that it needs; LiteRT may have said more on the error output."
        raise DeployError(f"{source.path.name} does not load in LiteRT: {error}", cure) from error


def _kept(api: Api, stack: ExitStack, what: str, handle: int) -> int:
    stack.callback(api.functions[f"Destroy{what}"], handle)
    return handle


def _options(api: Api, stack: ExitStack, threads: int, profiling: bool) -> int:
    options = _kept(api, stack, "Options", api.get("CreateOptions", c_void_p))
    api.call("SetOptionsHardwareAccelerators", options, c_api.CPU)
    # Errors are kept for whoever asks instead of being printed.
    runtime = f"enable_profiling = {str(profiling).lower()}\nerror_reporter_mode = 2"
    _set(api, options, "runtime_options_string", runtime)
    _set(api, options, "xnnpack", f"num_threads = {threads}")
    return options


def _set(api: Api, options: int, section: str, text: str) -> None:
    """Adds settings as TOML, in memory that LiteRT frees."""
    payload = c_api.libc().strdup(text.encode())
    free = ctypes.cast(c_api.libc().free, c_void_p)
    api.call("AddOpaqueOptions", options, api.get("CreateOpaqueOptions", c_void_p, section.encode(), payload, free))


def _register(api: Api, libraries: Sequence[OpLibrary], options: int, file: int, path: Path) -> None:
    for library in libraries:
        if error := library.register(options, file, api.handle):
            raise DeployError(
                f"{library.name} does not fit {path.name}: {error.decode()}",
                "Build the bundle again with the op library that belongs to it.",
            )


def _find(api: Api, file: int, source: Source) -> int:
    keys = []
    for index in range(api.get("GetNumModelSignatures", c_size_t, file)):
        found = api.get("GetModelSignature", c_void_p, file, index)
        keys.append(api.get("GetSignatureKey", c_char_p, found).decode())
    if source.signature is None:
        return 0
    if source.signature not in keys:
        raise DeployError(f"{source.path.name} has no signature '{source.signature}'", f"It has: {', '.join(keys)}.")
    return keys.index(source.signature)


def _tensors(api: Api, signature: int, kind: str) -> tuple[TensorInfo, ...]:
    count = api.get(f"GetNumSignature{kind}s", c_size_t, signature)
    return tuple(_tensor(api, signature, kind, index) for index in range(count))


def _tensor(api: Api, signature: int, kind: str, index: int) -> TensorInfo:
    name = api.get(f"GetSignature{kind}Name", c_char_p, signature, index).decode()
    tensor = api.get(f"GetSignature{kind}TensorByIndex", c_void_p, signature, index)
    found = api.get("GetRankedTensorType", TensorType, tensor)
    if found.element not in _DTYPES:
        raise DeployError(f"'{name}' is of a type that numpy has not", "Use another type for inputs and outputs.")
    place = api.get("GetTensorIndex", c_uint32, tensor)
    return TensorInfo(name, np.dtype(_DTYPES[found.element]), found.layout.shape, found.element, place)
