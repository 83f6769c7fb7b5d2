"""Models in LiteRT with the kernels of op libraries, and with times of single ops: its Python package has neither."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from ctypes import c_byte, c_int, c_size_t, c_void_p
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from deploypipe.errors import DeployError
from deploypipe.runtimes.tflite import c_api
from deploypipe.runtimes.tflite.c_api import Api, Event, Layout, StatusError, TensorType
from deploypipe.runtimes.tflite.loading import Opened, Source, TensorInfo, open_model

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]
Shapes = tuple[Shape, ...]
Kind = Literal["op", "delegate", "custom", "phase"]

# The kinds of events that say how long something took: phases of a run, ops, and steps of the delegate.
_PHASE, _OPERATOR, _STEP = 1, 2, 8
_CUSTOM = "custom_call."


@dataclass(frozen=True)
class OpTime:
    """What the ops of one name take.

    Attributes:
        name: Of a built-in op, of a step of the delegate, or the code of a custom op.
        kind: Who runs it: LiteRT itself, its XNNPACK delegate, or an op library.
        microseconds: The mean of a run, of all calls together.
        calls: In a run.
    """

    name: str
    kind: Kind
    microseconds: float
    calls: int


@dataclass(frozen=True)
class OpEvent:
    """What LiteRT's profiler notes.

    Attributes:
        name: As in `OpTime`, or of a phase of the run.
        kind: As in `OpTime`, or `phase`: a part of the run with all ops that run in it.
        start_us: Microseconds of LiteRT's clock; 0 for steps of the delegate, of which only the order is known.
        elapsed_us: Whole microseconds, rounded down.
    """

    name: str
    kind: Kind
    start_us: int
    elapsed_us: int


@dataclass(frozen=True)
class Buffer:
    """The memory of a tensor: LiteRT's handle, and the memory itself."""

    handle: int
    view: Array


@dataclass(frozen=True)
class Fitted:
    """All memory for inputs of some shapes.

    Attributes:
        inputs: Their memory.
        outputs: That of the outputs.
        arguments: Of a run: the number and the handles of the inputs, and of the outputs.
        stack: Frees the memory.
    """

    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]
    arguments: tuple[Any, ...]
    stack: ExitStack


class CompiledModel:
    """A model that is compiled for the CPU. One thread at a time may use it.

    Attributes:
        inputs: Of the signature, in its order.
        outputs: Likewise.
    """

    def __init__(self, opened: Opened) -> None:
        """Takes over what is open; `open` opens a file."""
        self.inputs = opened.inputs
        self.outputs = opened.outputs
        self._opened = opened
        self._api = opened.api
        self._dtypes = [tensor.dtype for tensor in opened.inputs]
        self._run = opened.api.functions["RunCompiledModel"]
        self._closed = self._proven = False
        self._shapes: Shapes | None = None
        self._fitted: Fitted | None = None
        self._complaint()  # while sizes are not known, nothing of it is an error

    @classmethod
    def open(cls, path: Path, libraries: Sequence[Path] = (), threads: int = 1, signature: str | None = None) -> Self:
        """Opens a file, which LiteRT maps into memory.

        Args:
            path: The model. Constants that a custom op reads must lie at multiples of 64 bytes.
            libraries: The op libraries that it needs.
            threads: Of the XNNPACK delegate.
            signature: Which one to run; the first if None.

        Raises:
            DeployError: The file, a library or the signature does not fit.
        """
        return cls(open_model(Source(path, tuple(libraries), threads, signature)))

    def close(self) -> None:
        """Frees the model; it cannot be used any more."""
        self._closed = True
        if self._fitted:
            self._fitted.stack.close()
            self._fitted = None
        self._opened.stack.close()

    def __enter__(self) -> Self:
        """Returns the model, which is closed in the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the model."""
        self.close()

    def __del__(self) -> None:
        """Closes the model if nobody did."""
        if hasattr(self, "_fitted"):
            self.close()

    def run(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """Runs the model once; memory is allocated anew only when an input's shape changes.

        Args:
            inputs: In the order of the signature.

        Returns:
            The outputs in the order of the signature, as copies.

        Raises:
            DeployError: The inputs do not fit, or a kernel failed.
        """
        fitted = self._fill(inputs)
        self._invoke(fitted)
        return tuple(view.copy() for view in fitted.outputs)

    def profile(self, inputs: Sequence[Array], runs: int) -> list[OpTime]:
        """Measures the single ops over some runs.

        Returns:
            One entry for each name, in the order of the first calls.

        Raises:
            DeployError: As for `run`.
        """
        events = [each for run in self.events(inputs, runs) for each in run if each.kind != "phase"]
        return _op_times(events, runs)

    def events(self, inputs: Sequence[Array], runs: int) -> list[tuple[OpEvent, ...]]:
        """Returns what the profiler notes of each of some runs, after one that is not profiled.

        Raises:
            DeployError: As for `run`.
        """
        with CompiledModel(open_model(self._opened.source, profiling=True)) as twin:
            return list(twin._profiled(inputs, runs))

    def _profiled(self, inputs: Sequence[Array], runs: int) -> Iterator[tuple[OpEvent, ...]]:
        fitted = self._fill(inputs)
        self._invoke(fitted)  # the first run allocates
        profiler = self._api.get("CompiledModelGetProfiler", c_void_p, self._opened.model)
        for _ in range(runs):
            self._api.call("StartProfiler", profiler)
            self._invoke(fitted)
            self._api.call("StopProfiler", profiler)
            yield _recorded(self._api, profiler)

    def _fill(self, inputs: Sequence[Array]) -> Fitted:
        """Copies the inputs to where the model reads them."""
        if [array.dtype for array in inputs] != self._dtypes:
            wanted = ", ".join(map(str, self._dtypes))
            given = ", ".join(str(array.dtype) for array in inputs)
            raise DeployError(f"The inputs are of {given or 'no type'}", f"Give inputs of {wanted}.")
        shapes = tuple(array.shape for array in inputs)
        fitted = self._fitted
        if fitted is None or shapes != self._shapes:
            self._shapes = None  # it stays so if they do not fit
            fitted = self._fitted = self._fit(shapes)
            self._shapes = shapes
        for view, array in zip(fitted.inputs, inputs, strict=True):
            view[...] = array
        if not self._proven:
            self._prove(fitted)
        return fitted

    def _prove(self, fitted: Fitted) -> None:
        """Runs once more than is asked for, to see that the outputs arrive.

        LiteRT moves an output whose sizes depend on values to where nobody reads it, and says so in the second run.
        """
        self._invoke(fitted)
        if self._sizes() != tuple(view.shape for view in fitted.outputs):
            self._shapes = None
            raise DeployError(
                "The sizes of an output depend on values, which LiteRT cannot give", "Take another runtime."
            )
        self._proven = True

    def _invoke(self, fitted: Fitted) -> None:
        status = self._run(self._opened.model, self._opened.signature, *fitted.arguments)
        complaint = self._complaint()
        if status or complaint:
            self._shapes = None
            messages = self._messages()  # asked for anyhow, which clears them
            raise _refusal(complaint or messages)

    def _complaint(self) -> str:
        """Returns the errors of kernels since this was last asked for; LiteRT does not hear of them."""
        return "; ".join(error.decode() for library in self._opened.libraries if (error := library.error()))

    def _messages(self) -> str:
        """Returns what LiteRT had to say since this was last asked for."""
        try:
            address = self._api.get("CompiledModelGetErrorMessages", c_void_p, self._opened.model)
        except StatusError:
            return ""
        text = ctypes.string_at(address).decode(errors="replace")
        c_api.libc().free(address)
        self._api.call("CompiledModelClearErrors", self._opened.model)
        return " ".join(text.split()).rstrip(".")

    def _fit(self, shapes: Shapes) -> Fitted:
        """Allocates all memory for inputs of other shapes."""
        if self._closed:
            raise DeployError("The model is closed", "Open it again.")
        if any(0 in shape for shape in shapes):
            raise DeployError("LiteRT takes no empty input", "Give at least one row.")
        if [len(shape) for shape in shapes] != [len(tensor.shape) for tensor in self.inputs]:
            raise _refusal("an input has another number of dimensions than in the model")
        try:
            sizes = self._resize(shapes)
            if complaint := self._complaint():
                raise _refusal(complaint)
            return self._allocate(shapes, sizes)
        except StatusError as error:
            complaint, messages = self._complaint(), self._messages()
            raise _refusal(complaint or messages or str(error)) from error

    def _allocate(self, shapes: Shapes, sizes: Shapes) -> Fitted:
        """Makes the buffers of inputs and outputs; frees those of before."""
        with ExitStack() as stack:
            # A tensor that is an input and an output, or two outputs, has one buffer: LiteRT would fill the last alone.
            known: dict[int, Buffer] = {}
            inputs = [self._buffer("Input", *each, known, stack) for each in _numbered(self.inputs, shapes)]
            outputs = [self._buffer("Output", *each, known, stack) for each in _numbered(self.outputs, sizes)]
            if self._fitted:  # only now: LiteRT may have looked at it until here
                self._fitted.stack.close()
            arguments = (*_handles(inputs), *_handles(outputs))
            return Fitted(_views(inputs), _views(outputs), arguments, stack.pop_all())

    def _resize(self, shapes: Shapes) -> Shapes:
        """Returns the shapes of the outputs for those of the inputs."""
        where = self._opened.model, self._opened.signature
        for index, shape in enumerate(shapes):
            if shape:
                sizes = (c_int * len(shape))(*shape)
                self._api.call("CompiledModelResizeInputTensorNonStrict", *where, index, sizes, len(shape))
        return self._sizes(allocate=True)

    def _sizes(self, allocate: bool = False) -> Shapes:
        """Returns the shapes of the outputs: as they are, or once memory is allocated."""
        where, layouts = (self._opened.model, self._opened.signature), (Layout * len(self.outputs))()
        self._api.call("GetCompiledModelOutputTensorLayouts", *where, len(layouts), layouts, allocate)
        return tuple(layout.shape for layout in layouts)

    def _buffer(
        self, kind: str, index: int, tensor: TensorInfo, shape: Shape, known: dict[int, Buffer], stack: ExitStack
    ) -> Buffer:
        if tensor.place in known:
            return known[tensor.place]
        opened, layout = self._opened, TensorType(tensor.element, Layout.of(shape))
        needs = f"GetCompiledModel{kind}BufferRequirements"
        wanted = self._api.get(needs, c_void_p, opened.model, opened.signature, index)
        create = "CreateManagedTensorBufferFromRequirements"
        handle = self._api.get(create, c_void_p, opened.environment, layout, wanted)
        stack.callback(self._api.functions["DestroyTensorBuffer"], handle)
        known[tensor.place] = Buffer(handle, _view(self._api, handle, tensor, shape))
        return known[tensor.place]


def _numbered(tensors: Sequence[TensorInfo], shapes: Shapes) -> Iterator[tuple[int, TensorInfo, Shape]]:
    for index, (tensor, shape) in enumerate(zip(tensors, shapes, strict=True)):
        yield index, tensor, shape


def _handles(buffers: Sequence[Buffer]) -> tuple[int, ctypes.Array[c_void_p]]:
    return len(buffers), (c_void_p * len(buffers))(*(buffer.handle for buffer in buffers))


def _views(buffers: Sequence[Buffer]) -> tuple[Array, ...]:
    return tuple(buffer.view for buffer in buffers)


def _refusal(reason: str) -> DeployError:
    if unknown := re.search(r"unresolved custom op: (\S+?)\.? ", reason):
        return DeployError(f"There is no kernel for {unknown.group(1)}", "Give the model the op library that it needs.")
    return DeployError(f"LiteRT refuses the input: {reason or 'no reason given'}", "Keep to the sizes in the manifest.")


def _view(api: Api, buffer: int, tensor: TensorInfo, shape: Shape) -> Array:
    """Returns the memory of a buffer on the CPU as an array."""
    size = api.get("GetTensorBufferSize", c_size_t, buffer)
    memory = (c_byte * size).from_address(api.get("GetTensorBufferHostMemory", c_void_p, buffer))
    return np.ndarray(shape, tensor.dtype, memory)


def _recorded(api: Api, profiler: int) -> tuple[OpEvent, ...]:
    """Returns what took time since the profiler started."""
    count = api.get("GetNumProfilerEvents", c_int, profiler)
    events = (Event * count)()
    api.call("GetProfilerEvents", profiler, count, events)
    named = ((event.tag.decode(), event) for event in events)
    return tuple(
        OpEvent(name, kind, event.start_us, event.elapsed_us)
        for name, event in named
        if (kind := _kind(event.kind, name))
    )


def _op_times(events: Iterable[OpEvent], runs: int) -> list[OpTime]:
    times: dict[tuple[str, Kind], list[int]] = {}
    for event in events:
        times.setdefault((event.name, event.kind), []).append(event.elapsed_us)
    return [OpTime(*op, sum(found) / runs, round(len(found) / runs)) for op, found in times.items()]


def _kind(number: int, name: str) -> Kind | None:
    """Returns who ran an op, None for events that say nothing of time."""
    if number == _STEP:
        return "delegate"
    if number == _OPERATOR:
        return "custom" if name.startswith(_CUSTOM) else "op"
    return "phase" if number == _PHASE else None
