"""LiteRT through its C API: types, sizes, signatures, times of ops, errors, and memory that is given back."""

from __future__ import annotations

import contextlib
import copy
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deploypipe import native
from deploypipe.errors import DeployError
from deploypipe.runtimes.tflite import c_api, call_model, flatbuffer
from deploypipe.runtimes.tflite.call_model import Call
from deploypipe.runtimes.tflite.compiled import CompiledModel, OpTime

from . import files

SQUARE = "custom_call.deploypipe.square"
DTYPES = ("float32", "float64", "int8", "uint8", "int16", "int32", "int64", "bool")

# Open models must not keep an interpreter from ending well.
UNCLOSED = """
import sys
from pathlib import Path
import numpy as np
from deploypipe.runtimes.tflite.compiled import CompiledModel
model = CompiledModel.open(Path(sys.argv[1]))
print(model.run([np.ones((4, 32), np.float32)])[0].shape)
"""


def opened(content: bytes, folder: Path, *libraries: Path, **settings: Any) -> CompiledModel:
    path = folder / "model.tflite"
    path.write_bytes(content)
    return CompiledModel.open(path, libraries, **settings)


@pytest.fixture
def dense(tmp_path: Path) -> CompiledModel:
    """FULLY_CONNECTED, which XNNPACK takes."""
    return opened(files.dense(), tmp_path)


def squares() -> bytes:
    """Returns x ** 4 as the first signature, and x ** 2 as the signature `once`."""
    tensors = dict.fromkeys(("x", "between", "y"), ("float32", (2, 3)))
    calls = [Call(SQUARE, ["x"], ["between"]), Call(SQUARE, ["between"], ["y"])]
    model = flatbuffer.parse(call_model.write(tensors, calls, ["x"], ["y"]))
    graph, signature = copy.deepcopy(model.subgraphs[0]), copy.deepcopy(model.signatureDefs[0])
    graph.operators, graph.outputs = graph.operators[:1], [1]
    signature.signatureKey, signature.subgraphIndex = b"once", 1
    signature.outputs[0].tensorIndex = 1
    model.subgraphs.append(graph)
    model.signatureDefs.append(signature)
    return flatbuffer.write(model)


def test_the_tensors_of_a_model(dense: CompiledModel) -> None:
    (given,), (found,) = dense.inputs, dense.outputs
    assert (given.dtype, given.shape) == (np.float32, (4, 32))
    assert (found.dtype, found.shape) == (np.float32, (4, files.OUT))


def test_the_numbers_are_those_of_the_python_runtime(dense: CompiledModel) -> None:
    inputs = files.arrays(files.dense())
    (found,) = dense.run(inputs)
    np.testing.assert_array_equal(found, files.run(files.dense(), inputs), strict=True)


def test_outputs_are_the_callers_own(dense: CompiledModel) -> None:
    x = np.ones((4, 32), np.float32)
    (first,) = dense.run([x])
    kept = first.copy()
    dense.run([x * 2])
    np.testing.assert_array_equal(first, kept)


def test_inputs_may_have_strides(dense: CompiledModel) -> None:
    x = np.asfortranarray(np.random.default_rng(0).standard_normal((4, 32)).astype(np.float32))
    np.testing.assert_array_equal(dense.run([x])[0], dense.run([np.ascontiguousarray(x)])[0])


def test_every_type_and_tensors_that_are_inputs_and_outputs(tmp_path: Path) -> None:
    """LiteRT alone gives garbage for an output that is an input, or that stands there twice."""
    tensors = {dtype: (dtype, (2, 3)) for dtype in DTYPES} | {"y": ("float32", (2, 3))}
    outputs = ["y", *DTYPES, "y"]
    content = call_model.write(tensors, [Call(SQUARE, ["float32"], ["y"])], DTYPES, outputs)
    model = opened(content, tmp_path, native.library("litert"))
    for rows in (2, 5):
        inputs = [np.arange(rows * 3).reshape(rows, 3).astype(dtype) for dtype in DTYPES]
        found = model.run(inputs)
        for output, expected in zip(found, [inputs[0] ** 2, *inputs, inputs[0] ** 2], strict=True):
            np.testing.assert_array_equal(output, expected, strict=True)


def test_sizes_may_change_from_call_to_call(dense: CompiledModel) -> None:
    for rows in (4, 1, 4, 100, 3):
        x = np.random.default_rng(rows).standard_normal((rows, 32)).astype(np.float32)
        (found,) = dense.run([x])
        assert found.shape == (rows, files.OUT)
        singly = [dense.run([x[i : i + 1]])[0] for i in range(rows)]
        np.testing.assert_allclose(found, np.concatenate(singly), rtol=1e-5, atol=1e-5)


def test_what_does_not_fit_is_refused_and_harms_nothing(dense: CompiledModel) -> None:
    x = np.ones((4, 32), np.float32)
    (expected,) = dense.run([x])
    wrong: list[tuple[list[Any], str]] = [
        ([np.ones((4, 31), np.float32)], "LiteRT refuses the input: .*failed to prepare"),
        ([np.ones(32, np.float32)], "another number of dimensions"),
        ([np.ones((0, 32), np.float32)], "takes no empty input"),
        ([x.astype(np.float64)], "The inputs are of float64. Give inputs of float32"),
        ([x, x], "The inputs are of float32, float32"),
        ([], "The inputs are of no type"),
    ]
    for inputs, message in wrong:
        with pytest.raises(DeployError, match=message):
            dense.run(inputs)
        np.testing.assert_array_equal(dense.run([x])[0], expected)


def resized_by_values(folder: Path, output: str, sizes: tuple[int, int]) -> CompiledModel:
    """Opens a model that reshapes its input to sizes that are an input too, and squares that."""
    tensors = {"x": ("float32", sizes), "sizes": ("int32", (2,)), "reshaped": ("float32", (1, 1))}
    tensors["y"] = ("float32", (1, 1))
    content = call_model.write(tensors, [Call(SQUARE, ["reshaped"], ["y"])], ["x", "sizes"], [output])
    parsed = flatbuffer.parse(content)
    parsed.subgraphs[0].operators.insert(0, flatbuffer.add_operator(parsed, "RESHAPE", 1, [0, 1], [2]))
    return opened(flatbuffer.write(parsed), folder, native.library("litert"))


@pytest.mark.parametrize("sizes", [(3, 2), (1, 1), (2, 3)])
def test_sizes_of_an_output_that_depend_on_values_are_an_error(tmp_path: Path, sizes: tuple[int, int]) -> None:
    """Also where they happen to be those that LiteRT expects: it writes the values elsewhere."""
    model = resized_by_values(tmp_path, "reshaped", sizes)
    with pytest.raises(DeployError, match=r"depend on values|refuses the input"):
        model.run([np.ones(sizes, np.float32), np.array(sizes, np.int32)])


@pytest.mark.parametrize("sizes", [(3, 2), (2, 3)])
def test_an_op_behind_such_sizes_is_an_error(tmp_path: Path, sizes: tuple[int, int]) -> None:
    model = resized_by_values(tmp_path, "y", sizes)
    with pytest.raises(DeployError, match=r"depend on values|refuses the input"):
        model.run([np.ones(sizes, np.float32), np.array(sizes, np.int32)])


def test_an_op_behind_sizes_that_happen_to_be_expected_is_refused_or_right(tmp_path: Path) -> None:
    """LiteRT puts what the op reads anywhere, and takes it where that happens to be aligned."""
    model = resized_by_values(tmp_path, "y", (1, 1))
    found = None
    with contextlib.suppress(DeployError):
        (found,) = model.run([np.full((1, 1), 3, np.float32), np.ones(2, np.int32)])
    assert found is None or found.tolist() == [[9]]


def test_signatures_by_name(tmp_path: Path) -> None:
    x = np.full((2, 3), 3, np.float32)
    for signature, value in ((None, 81), ("serving_default", 81), ("once", 9)):
        with opened(squares(), tmp_path, native.library("litert"), signature=signature) as model:
            assert model.run([x])[0].tolist() == [[value] * 3] * 2
    with pytest.raises(DeployError, match=r"no signature 'twice'\. It has: serving_default, once"):
        opened(squares(), tmp_path, native.library("litert"), signature="twice")


def test_the_times_of_custom_ops(tmp_path: Path) -> None:
    model = opened(squares(), tmp_path, native.library("litert"))
    (found,) = model.profile([np.ones((2000, 500), np.float32)], runs=3)
    assert (found.name, found.kind, found.calls) == (SQUARE, "custom", 2)
    assert found.microseconds > 0


@pytest.mark.parametrize(
    ("content", "kind", "name"),
    [(files.dense(), "delegate", "Fully Connected"), (files.embedding(), "op", "EMBEDDING")],
)
def test_the_times_of_other_ops(tmp_path: Path, content: bytes, kind: str, name: str) -> None:
    model = opened(content, tmp_path)
    found = model.profile(files.arrays(content), runs=4)
    assert all(isinstance(each, OpTime) for each in found)
    assert {each.kind for each in found} == {kind}
    assert name in found[-1].name


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match=r"model\.tflite does not load in LiteRT"):
        opened(b"nothing" * 100, tmp_path)
    with pytest.raises(DeployError, match=r"gone\.tflite does not load in LiteRT"):
        CompiledModel.open(tmp_path / "gone.tflite")


def test_a_missing_library_is_named_by_what_it_lacks(tmp_path: Path) -> None:
    model = opened(squares(), tmp_path)
    with pytest.raises(DeployError, match=f"There is no kernel for {SQUARE}. Give the model the op library"):
        model.run([np.ones((2, 3), np.float32)])


def test_libraries_of_other_runtimes(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match=r"libdeploypipe_onnxruntime\.so does not load in LiteRT 2"):
        opened(squares(), tmp_path, native.library("onnxruntime"))


def test_litert_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(c_api.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(DeployError, match="ai-edge-litert is not installed"):
        c_api.library_path()


def test_a_closed_model_cannot_run(dense: CompiledModel) -> None:
    x = np.ones((4, 32), np.float32)
    dense.run([x])
    dense.close()
    dense.close()
    with pytest.raises(DeployError, match="The model is closed"):
        dense.run([x])


def test_threads_give_the_same_numbers(tmp_path: Path, dense: CompiledModel) -> None:
    x = files.arrays(files.dense())
    np.testing.assert_allclose(opened(files.dense(), tmp_path, threads=2).run(x)[0], dense.run(x)[0], rtol=1e-5)


def test_memory_is_given_back(tmp_path: Path) -> None:
    """The sizes in use are one megabyte and more, so that a leak of a call is seen."""

    def use(times: int) -> int:
        for rows in range(times):
            model = opened(squares(), tmp_path, native.library("litert"))
            model.run([np.ones((512 + rows % 2, 512), np.float32)])
            model.run([np.ones((512, 513), np.float32)])
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

    before = use(10)
    assert use(100) - before < 30


def test_a_program_may_end_with_open_models(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(files.dense())
    done = subprocess.run([sys.executable, "-c", UNCLOSED, path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"(4, {files.OUT})\n"), done.stderr
