"""The C API on a bundle that is as it should be: describe, run, verify, and what is said of wrong arguments."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import deploypipe
from deploypipe.bundle import manifest as manifests
from deploypipe.bundle import parity
from deploypipe.bundle.manifest import GOLDEN
from deploypipe.errors import DeployError
from deploypipe.native import toolchain
from deploypipe.tensors import check_inputs, load_cases, refuse_non_finite
from tests.bundle.damage import mend

from .capi import (
    DTYPES,
    INTERNAL,
    INVALID_ARGUMENT,
    RUNTIME_FAILED,
    UNSUPPORTED,
    Array,
    CError,
    COptions,
    CTensor,
    Sdk,
    SdkError,
    tensor,
)
from .conftest import write_bundle


def ones(*shape: int, dtype: str = "float32") -> Array:
    return np.ones(shape, dtype)


def refused(sdk: Sdk, path: Path, **options: Any) -> SdkError:
    with pytest.raises(SdkError) as caught:
        sdk.open(path, **options)
    return caught.value


def test_the_version_is_that_of_the_package(sdk: Sdk) -> None:
    assert sdk.library.dp_version().decode() == deploypipe.__version__


def test_the_bytes_of_an_element(sdk: Sdk) -> None:
    sdk.library.dp_dtype_size.restype = ctypes.c_size_t
    assert {name: sdk.library.dp_dtype_size(code) for code, name in DTYPES.items()} == {
        name: np.dtype(name).itemsize for name in DTYPES.values()
    }
    assert [sdk.library.dp_dtype_size(code) for code in (-1, 0, 8)] == [0, 0, 0]


def test_the_backends_of_this_build(sdk: Sdk) -> None:
    names = {each["name"] for each in json.loads(sdk.library.dp_backends())}
    assert {"onnxruntime", "litert", "aotinductor"} <= names


def test_a_model_describes_itself(sdk: Sdk, bundle: Path) -> None:
    model = sdk.open(bundle)
    assert json.loads(model.text("manifest"))["model"] == "echo"
    assert model.text("runtime_version") == "2.5.1+cpu"
    (info,) = model.infos("input")
    assert (info.name, info.dtype, info.rank) == (b"x", 1, 2)
    assert (info.shape[:2], info.axes[:2]) == ([-1, 3], [b"batch", None])
    assert (info.min[:2], info.max[:2]) == ([1, 3], [64, 3])
    assert [each.name for each in model.infos("output")] == [b"y"]
    assert not sdk.library.dp_input(model.pointer, ctypes.c_size_t(1))
    model.close()


def test_a_run(sdk: Sdk, bundle: Path) -> None:
    model = sdk.open(bundle)
    given = np.arange(6, dtype="float32").reshape(2, 3)
    (found,) = model.run(given)
    np.testing.assert_array_equal(found, 2 * given)
    model.close()


def test_golden_inputs(sdk: Sdk, bundle: Path) -> None:
    model = sdk.open(bundle)
    assert sdk.library.dp_golden_count(model.pointer) == 2
    np.testing.assert_array_equal(model.golden_inputs(1)[0], np.arange(15, dtype="float32").reshape(5, 3))
    with pytest.raises(SdkError, match=r"There is no golden vector 2. The bundle holds 2."):
        model.golden_inputs(2)
    model.close()


@pytest.mark.parametrize("offset", [0, 1e-6, 0.25, float("nan"), float("inf")])
def test_the_verdict_is_that_of_python(sdk: Sdk, tmp_path: Path, offset: float) -> None:
    bundle = write_bundle(tmp_path / "bundle", offset=offset)
    manifest = manifests.read(bundle)
    cases = load_cases(bundle / GOLDEN, manifest.inputs, manifest.outputs)
    expected = parity.judged(parity.of_outputs(manifest, cases, True, lambda arrays: [2 * arrays[0]]))
    model = sdk.open(bundle)
    found = model.verify()
    model.close()
    assert (found["passed"], found["failures"]) == (expected.passed, list(expected.failures))
    assert found["checks"] == [pytest.approx(check.model_dump()) for check in expected.checks]
    assert found["passed"] == (offset < 1e-4)


def test_an_output_of_another_kind_fails(sdk: Sdk, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    golden = load_file(bundle / GOLDEN)
    integers = {name: array.astype("int64") for name, array in golden.items() if ".outputs." in name}
    save_file(golden | integers, bundle / GOLDEN)
    mend(bundle)
    model = sdk.open(bundle)
    assert model.verify()["failures"][0] == (
        "y: unequal_share not finite, limit 0.0001 (without op library, batch=1, float32[1, 3], not int64[1, 3])"
    )
    model.close()


WRONG_INPUTS = [[], [ones(2, 3), ones(2, 3)], [ones(2, 4)], [ones(65, 3)], [ones(0, 3)], [ones(3)]]


@pytest.mark.parametrize("arrays", [*WRONG_INPUTS, [ones(2, 3, dtype="float64")]], ids=str)
def test_wrong_inputs_are_refused_as_in_python(sdk: Sdk, bundle: Path, arrays: list[Array]) -> None:
    model, manifest = sdk.open(bundle), manifests.read(bundle)
    with pytest.raises(SdkError) as caught:
        model.run(*arrays)
    model.close()
    assert caught.value.status == INVALID_ARGUMENT
    if len(arrays) != 1:
        assert str(caught.value) == f"{len(arrays)} inputs were given. The model takes x."
        return
    with pytest.raises(DeployError) as expected:
        check_inputs(manifest.inputs, manifest.axes, {"x": arrays[0]})
    assert str(caught.value) == str(expected.value)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_is_refused_where_an_op_is_undefined(sdk: Sdk, tmp_path: Path, value: float) -> None:
    model = sdk.open(write_bundle(tmp_path / "bundle", finite_inputs=True))
    array = ones(2, 3)
    array[1, 1] = value
    with pytest.raises(SdkError) as caught:
        model.run(array)
    manifest = manifests.read(tmp_path / "bundle")
    with pytest.raises(DeployError) as expected:
        refuse_non_finite(manifest.inputs, [array])
    assert str(caught.value) == str(expected.value)
    model.close()


def _broken(**fields: Any) -> CTensor:
    given = tensor(ones(2, 3))
    for name, value in fields.items():
        setattr(given, name, value)
    return given


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (_broken(dtype=0), "Input 'x' has no dtype"),
        (_broken(dtype=99), "Input 'x' has no dtype"),
        (_broken(rank=-1), "Input 'x' has -1 axes"),
        (_broken(rank=9), "Input 'x' has 9 axes"),
        (_broken(data=None), "Input 'x' has no data"),
        (_broken(shape=(ctypes.c_int64 * 8)(-1, 3)), "A tensor has a negative size: -1"),
        (_broken(shape=(ctypes.c_int64 * 8)(1 << 62, 3)), "The number of elements of a tensor overflows"),
    ],
)
def test_a_tensor_that_is_none(sdk: Sdk, bundle: Path, given: CTensor, said: str) -> None:
    model, results = sdk.open(bundle), ctypes.c_void_p()
    with pytest.raises(SdkError) as caught:
        sdk.call("run", model.pointer, ctypes.byref(given), ctypes.c_size_t(1), ctypes.byref(results))
    assert (caught.value.status, caught.value.message) == (INVALID_ARGUMENT, said)
    assert not results
    model.close()


NULL_CALLS = {
    "open": [("path", None, None, ctypes.byref(ctypes.c_void_p())), ("model", b"bundle", None, None)],
    "run": [("model", None, None, ctypes.c_size_t(1), None)],
    "run_image": [("results", None, None, None)],
    "prepare_image": [("tensor", None, ctypes.c_size_t(0), None, None)],
    "classes": [("model", None, None, ctypes.c_size_t(0), ctypes.c_int64(0), None, None)],
    "golden_inputs": [("model", None, ctypes.c_size_t(0), None)],
    "verify": [("model", None, None)],
}


@pytest.mark.parametrize(("name", "case"), [(name, case) for name, cases in NULL_CALLS.items() for case in cases])
def test_null_is_an_error_with_the_name_of_the_argument(sdk: Sdk, name: str, case: tuple[Any, ...]) -> None:
    with pytest.raises(SdkError) as caught:
        sdk.call(name, *case[1:])
    assert (caught.value.status, caught.value.message) == (INVALID_ARGUMENT, f"{case[0]} is NULL")
    assert getattr(sdk.library, f"dp_{name}")(*case[1:], None) == INVALID_ARGUMENT


def test_getters_take_null(sdk: Sdk) -> None:
    library, first = sdk.library, ctypes.c_size_t(0)
    assert (library.dp_manifest(None), library.dp_runtime_version(None), library.dp_verdict_json(None)) == (b"",) * 3
    counts = ("input_count", "output_count", "results_count", "golden_count", "verdict_passed")
    assert [getattr(library, f"dp_{name}")(None) for name in counts] == [0] * 5
    assert not any(getattr(library, f"dp_{name}")(None, first) for name in ("input", "output", "results_tensor"))
    for name in ("close", "results_free", "verdict_free"):
        getattr(library, f"dp_{name}")(None)


def test_the_error_is_cleared_by_a_call_that_works(sdk: Sdk, bundle: Path) -> None:
    error, model = CError(status=7, message=b"old", cure=b"old"), ctypes.c_void_p()
    options = COptions(ctypes.sizeof(COptions), backend_folder=str(sdk.options["backend_folder"]).encode())
    words = (str(bundle).encode(), ctypes.byref(options), ctypes.byref(model), ctypes.byref(error))
    assert sdk.library.dp_open(*words) == 0
    assert (error.status, error.message, error.cure) == (0, b"", b"")
    sdk.library.dp_close(model)


def test_options_that_cannot_be(sdk: Sdk, bundle: Path, tmp_path: Path) -> None:
    assert "Begin with DP_OPTIONS_INIT." in str(refused(sdk, bundle, size=0))
    assert "The number of threads is negative" in str(refused(sdk, bundle, threads=-1))
    assert "No folder can be made in" in str(refused(sdk, bundle, temporary_folder=tmp_path / "none"))


def test_options_of_an_older_header(sdk: Sdk, bundle: Path) -> None:
    sdk.open(bundle, size=COptions.threads.offset, threads=-1).close()


@pytest.mark.parametrize(
    ("orders", "status", "said"),
    [
        ("throw", INTERNAL, "Something unknown went wrong"),
        ("nothing", RUNTIME_FAILED, "echo gave 0 outputs instead of 1"),
    ],
)
def test_a_run_that_fails(sdk: Sdk, tmp_path: Path, orders: str, status: int, said: str) -> None:
    model = sdk.open(write_bundle(tmp_path / "bundle", orders))
    for fail in (lambda: model.run(ones(1, 3)), model.verify):
        with pytest.raises(SdkError) as caught:
            fail()
        assert (caught.value.status, caught.value.message) == (status, said)
    model.close()


def test_an_artifact_that_the_runtime_refuses(sdk: Sdk, tmp_path: Path, scratch: Path) -> None:
    error = refused(sdk, write_bundle(tmp_path / "bundle", "refuse"))
    assert (error.status, str(error)) == (RUNTIME_FAILED, "echo refuses it. Ask for something else.")
    assert not list(scratch.iterdir())


def _runtime(**changes: str) -> dict[str, str]:
    return {"name": "echo", "package": "echo", "min_version": "2.5", "built_with": "2.5.1"} | changes


def _op(version: str, package: str = "torch") -> list[dict[str, Any]]:
    return [{"name": "a::b", "path": "native", "library": "lib/data.bin", "abi": {package: version}}]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"runtime": _runtime(min_version="2.10")},
            "The bundle needs echo 2.10; 2.5.1+cpu is installed. Install a newer one.",
        ),
        ({"runtime": _runtime(name="tflite-runtime")}, "This SDK has no backend for tflite-runtime. It has: "),
        ({"runtime": _runtime(name="../echo")}, "This SDK has no backend for ../echo. It has: "),
        (
            {"ops": _op("2.5"), "platform": "amiga-m68k"},
            "The op library of this bundle is for amiga-m68k; this is ",
        ),
        (
            {"ops": _op("2.4")},
            "The op library of this bundle was built for torch 2.4; 2.5.1+cpu is installed. "
            "Build the bundle again with the version that is installed here.",
        ),
        ({"ops": _op("2.6", "onnxruntime")}, "The op library of this bundle was built for onnxruntime 2.6; 2.5.1+cpu"),
    ],
)
def test_what_cannot_run_here(sdk: Sdk, tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    error = refused(sdk, write_bundle(tmp_path / "bundle", **changes))
    assert error.status == UNSUPPORTED
    assert str(error).startswith(said)


@pytest.mark.parametrize("ops", [_op("2.5"), _op("2.5.1"), _op("2.4", "onnxruntime")])
def test_op_libraries_that_fit(sdk: Sdk, tmp_path: Path, ops: list[dict[str, Any]]) -> None:
    model = sdk.open(write_bundle(tmp_path / "bundle", ops=ops))
    assert model.verify()["checks"][0]["what"] == "with op library, batch=1"
    model.close()


def test_op_libraries_that_stay_unused_need_not_fit(sdk: Sdk, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", ops=_op("9.9"), platform="amiga-m68k")
    model = sdk.open(bundle, without_op_libraries=1)
    assert model.verify()["checks"][0]["what"] == "without op library, batch=1"
    model.close()


def test_a_lack_of_memory_is_an_error_and_no_end(tree: Path, bundle: Path, echo_folder: Path, tmp_path: Path) -> None:
    """A program of its own, in which one allocation after the other fails."""
    program, library = tmp_path / "memory", tree / "lib"
    flags = ["-std=c++17", "-O1", "-Wall", "-Werror", f"-I{tree / 'include'}", f"-L{library}", f"-Wl,-rpath,{library}"]
    command = [toolchain.compiler(), Path(__file__).parent / "memory.cpp", *flags, "-ldeploypipe", "-o", program]
    subprocess.run([str(word) for word in command], check=True)
    (tmp_path / "scratch").mkdir()
    environment = os.environ | {"TMPDIR": str(tmp_path / "scratch")}
    done = subprocess.run([program, bundle, echo_folder], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    assert int(done.stdout) > 50


def test_threads_share_a_model(sdk: Sdk, tmp_path: Path) -> None:
    """The backend refuses a second run while the first one is under way."""
    model = sdk.open(write_bundle(tmp_path / "bundle", "slow"))
    arrays = [np.full((2, 3), number, "float32") for number in range(40)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda array: model.run(array)[0], arrays))
    for array, output in zip(arrays, found, strict=True):
        np.testing.assert_array_equal(output, 2 * array)
    model.close()


def test_threads_with_models_of_their_own(sdk: Sdk, bundle: Path) -> None:
    def use(number: int) -> float:
        model = sdk.open(bundle)
        (output,) = model.run(np.full((1, 3), number, "float32"))
        model.close()
        return float(output[0, 0])

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(use, range(20))) == [2.0 * number for number in range(20)]


def test_a_backend_folder_without_the_backend(sdk: Sdk, bundle: Path, tmp_path: Path) -> None:
    error = refused(sdk, bundle, backend_folder=tmp_path)
    assert (error.status, error.message) == (UNSUPPORTED, "This SDK has no backend for echo")


def test_closing_leaves_nothing(sdk: Sdk, bundle: Path, scratch: Path) -> None:
    model = sdk.open(bundle)
    assert len(list(scratch.iterdir())) == 1
    model.close()
    assert not list(scratch.iterdir())
