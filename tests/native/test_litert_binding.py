"""What the generic LiteRT binding does: ops by their custom codes, attributes in the codes, errors that arrive."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from deploypipe import native
from deploypipe.errors import DeployError
from deploypipe.runtimes.tflite import c_api, call_model, flatbuffer
from deploypipe.runtimes.tflite.call_model import Call
from deploypipe.runtimes.tflite.compiled import CompiledModel

PROBE = "custom_call.deploypipe.__selftest"
SQUARE = "custom_call.deploypipe.square"
POOL = "custom_call.mine.pool"

Tensors = dict[str, tuple[str, tuple[int, ...]]]
Opens = Callable[..., CompiledModel]

# A program that is linked with LiteRT has its names everywhere, and no handle.
LINKED = """
import ctypes, sys
from ctypes import c_char_p, c_void_p
from deploypipe.runtimes.tflite import c_api
ctypes.CDLL(str(c_api.library_path()), ctypes.RTLD_GLOBAL)
api = c_api.api()
environment = api.environment()
model = api.get("CreateModelFromFile", c_void_p, environment, sys.argv[1].encode())
options = api.get("CreateOptions", c_void_p)
register = ctypes.CDLL(sys.argv[2]).deploypipe_register_litert
register.argtypes, register.restype = (c_void_p,) * 3, c_char_p
print(register(options, model, None))
"""


@pytest.fixture
def opens(tmp_path: Path) -> Opens:
    """Writes a model of the given tensors and nodes, and opens it."""

    def opened(
        tensors: Tensors,
        calls: Sequence[Call],
        inputs: Sequence[str] = ("x",),
        outputs: Sequence[str] = ("y",),
        libraries: Sequence[Path] = (),
    ) -> CompiledModel:
        path = tmp_path / "model.tflite"
        path.write_bytes(call_model.write(tensors, calls, inputs, outputs))
        return CompiledModel.open(path, libraries or [native.library("litert")])

    return opened


def squaring(code: str = SQUARE, dtype: str = "float32") -> tuple[Tensors, list[Call]]:
    shape = (2, 3)
    return {"x": (dtype, shape), "y": (dtype, shape)}, [Call(code, ["x"], ["y"])]


def probing(code: str) -> tuple[Tensors, list[Call], list[str], list[str]]:
    tensors: Tensors = {
        "x": ("float32", (2, 3)),
        "at": ("int64", (2,)),
        "turned": ("float32", (3, 2)),
        "moved": ("int64", (3,)),
    }
    return tensors, [Call(code, ["x", "at"], ["turned", "moved"])], ["x", "at"], ["turned", "moved"]


def test_two_libraries_in_one_model(opens: Opens, mine: native.OpSource) -> None:
    """Both have an op `square`; two nodes of one op have attributes of their own."""
    libraries = {
        binding: [native.library(binding, source) for source in (native.PROJECT, mine)]
        for binding in ("torch", "litert")
    }
    for library in libraries["torch"]:
        torch.ops.load_library(str(library))
    sizes: Tensors = dict.fromkeys(("x", "y", "between"), ("float32", (4, 9)))
    sizes |= {"low": ("int8", (4, 4)), "at": ("int64", (4, 4)), "low_": ("int8", (4, 3)), "at_": ("int64", (4, 3))}
    calls = [
        Call(SQUARE, ["x"], ["y"]),
        Call("custom_call.mine.square", ["x"], ["between"]),
        Call(f"{POOL};width=3;scale=1.5", ["between"], ["low", "at"]),
        Call(f"{POOL};width=2;stride=3;scale=4", ["between"], ["low_", "at_"]),
    ]
    model = opens(sizes, calls, outputs=["y", "low", "at", "low_", "at_"], libraries=libraries["litert"])
    ops: Any = torch.ops
    for rows in (4, 1, 33):
        x = torch.rand(rows, 9) * 3
        between = ops.mine.square(x)
        expected = [
            ops.deploypipe.square(x),
            *ops.mine.pool(between, 3, 2, 1.5),
            *ops.mine.pool(between, 2, 3, 4.0),
        ]
        for found, wanted in zip(model.run([x.numpy()]), expected, strict=True):
            np.testing.assert_array_equal(found, wanted.numpy(), strict=True)


def test_an_op_of_the_project_gives_what_torch_gets(opens: Opens) -> None:
    torch.ops.load_library(str(native.library("torch")))
    sizes: Tensors = {"x": ("float32", (5, 20)), "seed": ("int64", (1,))}
    sizes |= {"index": ("int64", (5, 64)), "t": ("int64", (5, 64))}
    code = "custom_call.deploypipe.cws_generated;hashes=64"
    model = opens(sizes, [Call(code, ["x", "seed"], ["index", "t"])], ["x", "seed"], ["index", "t"])
    x, seed = torch.rand(5, 20), torch.tensor([2**40 + 3])
    expected = torch.ops.deploypipe.cws_generated(x, seed, 64)
    for found, wanted in zip(model.run([x.numpy(), seed.numpy()]), expected, strict=True):
        np.testing.assert_array_equal(found, wanted.numpy(), strict=True)


def test_a_constant_is_read_in_place(tmp_path: Path) -> None:
    """From the file, where it lies at a multiple of 64 bytes."""
    torch.ops.load_library(str(native.library("torch")))
    tables = [torch.rand(24, 20) + 0.1 for _ in range(3)]
    names = ["r", "log_c", "beta"]
    sizes: Tensors = {"x": ("float32", (5, 20)), "index": ("int64", (5, 24)), "t": ("int64", (5, 24))}
    sizes |= dict.fromkeys(names, ("float32", (24, 20)))
    call = Call("custom_call.deploypipe.cws", ["x", *names], ["index", "t"])
    model = flatbuffer.parse(call_model.write(sizes, [call], ["x"], ["index", "t"]))
    for name, table in zip(names, tables, strict=True):
        buffer = flatbuffer.schema().BufferT()
        buffer.data = table.numpy().view(np.uint8).ravel()
        model.buffers.append(buffer)
        model.subgraphs[0].tensors[list(sizes).index(name)].buffer = len(model.buffers) - 1
    path = tmp_path / "model.tflite"
    path.write_bytes(flatbuffer.write(model))
    x = torch.rand(5, 20)
    found = CompiledModel.open(path, [native.library("litert")]).run([x.numpy()])
    for output, expected in zip(found, torch.ops.deploypipe.cws(x, *tables), strict=True):
        np.testing.assert_array_equal(output, expected.numpy(), strict=True)


@pytest.mark.parametrize("scale", [0.1, 1e-05, 3.4028234663852886e38, -0.0, 1 / 3, float("inf"), 1e-45, 7])
def test_an_attribute_has_every_bit(opens: Opens, scale: float) -> None:
    model = opens(*probing(f"{PROBE};scale={scale!r}"))
    turned, _ = model.run([np.ones((2, 3), np.float32), np.zeros(2, np.int64)])
    np.testing.assert_array_equal(turned.view(np.int32), np.full((3, 2), np.float32(scale)).view(np.int32))


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("custom_call.deploypipe.nothing", "this library has no such op"),
        ("custom_call.deploypipe.square_backward", "this library has no such op"),
        (f"{PROBE};step=2", "the attribute 'scale' is missing"),
        (f"{PROBE};scale=1;scale=1", "an attribute stands there twice"),
        (f"{PROBE};scale=1;width=1", "there is no attribute 'width'"),
        (f"{PROBE};scale", "'scale' is not name=value"),
        (f"{PROBE};scale=1.5x", "'1.5x' is not a number"),
        (f"{PROBE};scale=", "'' is not a number"),
        (f"{PROBE};scale=1;step=2.0", "'2.0' is not a number"),
        (f"{PROBE};scale=1;step=9223372036854775808", "'9223372036854775808' is not a number"),
    ],
)
def test_a_wrong_code_is_refused_when_the_model_is_opened(opens: Opens, code: str, reason: str) -> None:
    with pytest.raises(DeployError, match=r"does not fit model\.tflite") as error:
        opens(*probing(code))
    assert f"{code}: {reason}" in str(error.value)


def test_codes_of_others_are_left_alone(opens: Opens) -> None:
    """Also those whose namespace begins as this one does."""
    model = opens(*squaring("custom_call.deploypipe_too.square"))
    with pytest.raises(DeployError, match=r"no kernel for custom_call\.deploypipe_too\.square"):
        model.run([np.zeros((2, 3), np.float32)])


def test_a_wrong_type_is_an_error(opens: Opens) -> None:
    model = opens(*squaring(dtype="int32"))
    for _ in range(2):
        with pytest.raises(DeployError, match="square: x is not a dense tensor of float32"):
            model.run([np.zeros((2, 3), np.int32)])


def test_a_wrong_type_of_an_output_is_an_error(opens: Opens) -> None:
    tensors, *rest = probing(f"{PROBE};scale=1")
    model = opens(tensors | {"moved": ("int32", (3,))}, *rest)
    with pytest.raises(DeployError, match="__selftest: moved is not a dense tensor of int64"):
        model.run([np.zeros((2, 3), np.float32), np.zeros(2, np.int64)])


def test_a_wrong_number_of_tensors_is_an_error(opens: Opens) -> None:
    model = opens({"x": ("float32", (2,)), "y": ("float32", (2,))}, [Call(SQUARE, ["x", "x"], ["y"])])
    with pytest.raises(DeployError, match="square: the node has another number of inputs or outputs"):
        model.run([np.zeros(2, np.float32)])


def test_wrong_shapes_are_an_error_and_right_ones_work_after_it(opens: Opens) -> None:
    model = opens(*probing(f"{PROBE};scale=2"))
    x, at = np.arange(6, dtype=np.float32).reshape(2, 3), np.array([5, 2**60])
    for _ in range(2):
        with pytest.raises(DeployError, match=r"at dimension 0 \(B\) is 3 and must be 2"):
            model.run([x, np.arange(3)])
        turned, moved = model.run([x, at])
        assert turned.tolist() == (x.T * 2).tolist()
        assert moved.tolist() == [-1, 5, 2**60]


def test_an_output_may_be_empty_but_not_less(opens: Opens) -> None:
    x, at = np.ones((2, 3), np.float32), np.ones(2, np.int64)
    assert opens(*probing(f"{PROBE};scale=1;step=-2")).run([x, at])[1].shape == (0,)
    with pytest.raises(DeployError, match="moved would have a negative size: -1"):
        opens(*probing(f"{PROBE};scale=1;step=-3")).run([x, at])


def test_an_empty_tensor_inside_a_model_is_an_error(tmp_path: Path) -> None:
    """LiteRT has no memory for it, and does not call the kernel."""
    sizes: Tensors = {"x": ("float32", (3, 1)), "at": ("int64", (3,)), "turned": ("float32", (1, 3))}
    sizes |= {"moved": ("int64", (1,)), "none": ("float32", (1, 5)), "five": ("float32", (5, 1))}
    sizes |= {"again": ("int64", (4,))}
    calls = [
        Call(f"{PROBE};scale=1;step=-3", ["x", "at"], ["turned", "moved"]),
        Call(f"{PROBE};scale=1;step=4", ["none", "moved"], ["five", "again"]),
    ]
    content = flatbuffer.parse(call_model.write(sizes, calls, ["x", "at"], ["turned", "again"]))
    empty = next(tensor for tensor in content.subgraphs[0].tensors if tensor.name == b"none")
    empty.shape = [0, 5]  # no node makes it, and it has no values that could be missing
    path = tmp_path / "model.tflite"
    path.write_bytes(flatbuffer.write(content))
    model = CompiledModel.open(path, [native.library("litert")])
    with pytest.raises(DeployError, match="failed to invoke"):
        model.run([np.ones((3, 1), np.float32), np.ones(3, np.int64)])


def test_errors_belong_to_their_thread(opens: Opens, tmp_path: Path) -> None:
    right, wrong = opens(*squaring()), opens(*squaring(dtype="int32"))

    def run_right() -> None:
        for _ in range(300):
            assert right.run([np.full((2, 3), 3, np.float32)])[0].tolist() == [[9] * 3] * 2

    def run_wrong() -> None:
        for _ in range(300):
            with pytest.raises(DeployError, match="square: x"):
                wrong.run([np.zeros((2, 3), np.int32)])

    with ThreadPoolExecutor(2) as pool:
        for done in (pool.submit(run_right), pool.submit(run_wrong)):
            done.result()


def test_a_program_that_is_linked_with_litert_gives_no_handle(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(call_model.write(*squaring(), ["x"], ["y"]))
    command = [sys.executable, "-c", LINKED, str(path), str(native.library("litert"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "None\n"), done.stderr


def test_what_is_not_litert_is_refused() -> None:
    """A handle of something else: here of the op library itself."""
    import ctypes

    library = ctypes.CDLL(str(native.library("litert")))
    library.deploypipe_register_litert.argtypes = (ctypes.c_void_p,) * 3
    library.deploypipe_register_litert.restype = ctypes.c_char_p
    said = library.deploypipe_register_litert(None, None, library._handle)
    assert said == b"LiteRT has no function LiteRtGetNumModelSubgraphs"
    assert c_api.api().handle != library._handle
