"""Op libraries without a runtime: every op as a function of numpy arrays, on any instruction set of this machine."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploypipe.errors import DeployError
from deploypipe.native.compile import describe

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


# kMaxRank of csrc/op/descriptor.h.
_MAX_RANK = 8


class _Tensor(ctypes.Structure):
    """`DeploypipeTensor` of csrc/bindings/standalone.h."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("rank", ctypes.c_int64),
    )


class Standalone:
    """The ops of one library, loaded into this process.

    Attributes:
        isas: The instruction sets that the kernels are compiled for and this processor has, the best one last.
    """

    def __init__(self, path: Path) -> None:
        self._library = ctypes.CDLL(str(path))
        self._library.deploypipe_isa.restype = ctypes.c_char_p
        self._library.deploypipe_isas.restype = ctypes.c_char_p
        self._library.deploypipe_run.restype = ctypes.c_char_p
        self._library.deploypipe_infer.restype = ctypes.c_char_p
        self._ops = {op["name"]: op for op in describe(path)["ops"]}
        self.isas = tuple(self._library.deploypipe_isas().decode().split())

    @property
    def isa(self) -> str:
        """The instruction set in use."""
        name: str = self._library.deploypipe_isa().decode()
        return name

    def use_isa(self, name: str) -> None:
        """Chooses an instruction set for all ops of this library.

        Raises:
            DeployError: This processor does not have it.
        """
        if self._library.deploypipe_set_isa(name.encode()) != 0:
            raise DeployError(f"This processor has no instruction set '{name}'", f"It has {', '.join(self.isas)}.")

    def run(
        self,
        name: str,
        inputs: Sequence[Array],
        attributes: Mapping[str, float] | None = None,
        threads: int = 1,
    ) -> tuple[Array, ...]:
        """Runs an op.

        Args:
            name: Of the op.
            inputs: C-contiguous arrays of the dtypes of the op, in the order of the signature.
            attributes: Those left out take their default.
            threads: The work is split over so many.

        Returns:
            The outputs.

        Raises:
            DeployError: There is no such op, or an array is of another dtype, layout or shape than the op takes.
        """
        call = self.prepare(name, inputs, attributes)
        call(threads)
        return call.outputs

    def prepare(
        self,
        name: str,
        inputs: Sequence[Array],
        attributes: Mapping[str, float] | None = None,
        outputs: Sequence[Array] | None = None,
    ) -> PreparedCall:
        """Returns an op on fixed arrays as a function, for many calls with little overhead.

        The arguments and errors are those of `run`. Outputs are allocated unless they are given.
        """
        import numpy as np

        if name not in self._ops:
            raise DeployError(f"There is no op '{name}' in the library", f"It has {', '.join(sorted(self._ops))}.")
        op = self._ops[name]
        _check(name, op["inputs"], inputs)
        given = attributes or {}
        values = [float(given.get(each["name"], each["default"] or 0)) for each in op["attributes"]]
        arguments = (name.encode(), _tensors(inputs), (ctypes.c_double * max(1, len(values)))(*values))
        if outputs is None:
            pairs = zip(self._shapes(arguments, len(op["outputs"])), op["outputs"], strict=True)
            outputs = [np.zeros(shape, each["dtype"]) for shape, each in pairs]
        _check(name, op["outputs"], outputs)
        return PreparedCall(self._library.deploypipe_run, arguments, tuple(inputs), tuple(outputs))

    def _shapes(self, arguments: tuple[Any, ...], count: int) -> list[tuple[int, ...]]:
        sizes = (ctypes.c_int64 * (count * _MAX_RANK))()
        ranks = (ctypes.c_int64 * count)()
        _raise(self._library.deploypipe_infer(*arguments, sizes, ranks))
        return [tuple(sizes[n * _MAX_RANK : n * _MAX_RANK + rank]) for n, rank in enumerate(ranks)]


class PreparedCall:
    """One op on fixed arrays.

    Attributes:
        inputs: Their values may change between calls.
        outputs: What the last call gave.
    """

    def __init__(
        self, run: Any, arguments: tuple[Any, ...], inputs: tuple[Array, ...], outputs: tuple[Array, ...]
    ) -> None:
        self.inputs, self.outputs = inputs, outputs
        self._run, self._arguments = run, (*arguments, _tensors(outputs))

    def __call__(self, threads: int = 1, repeats: int = 1) -> None:
        """Runs the op so many times in a row, its work split over so many threads."""
        _raise(self._run(*self._arguments, threads, ctypes.c_int64(repeats)))


def _raise(error: bytes | None) -> None:
    if error:
        raise DeployError(error.decode(), "Compare the arrays with the op's signature.")


def _check(name: str, expected: Sequence[Mapping[str, Any]], arrays: Sequence[Array]) -> None:
    names = ", ".join(f"{each['name']} {each['dtype']}" for each in expected)
    kinds = [each["dtype"] for each in expected]
    if [str(array.dtype) for array in arrays] != kinds or not all(array.flags.c_contiguous for array in arrays):
        raise DeployError(f"The arrays of '{name}' do not fit", f"It takes C-contiguous {names}.")


def _tensors(arrays: Sequence[Array]) -> Any:
    tensors = (_Tensor * max(1, len(arrays)))()
    for tensor, array in zip(tensors, arrays, strict=False):
        shape = (ctypes.c_int64 * max(1, array.ndim))(*array.shape)
        tensor.data, tensor.shape, tensor.rank = array.ctypes.data, shape, array.ndim
    return tensors
