"""Names, dtypes and shapes of inputs, and the file of the golden vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from deploypipe.errors import DeployError
from deploypipe.tensors import AxisRange, Case, TensorInfo, check_inputs, load_cases, refuse_non_finite, save_cases

X = TensorInfo(name="x", dtype="float32", shape=("batch", 4))
MASK = TensorInfo(name="mask", dtype="bool", shape=("batch",))
AXES = {"batch": AxisRange(min=1, max=8)}


def zeros(*shape: int, dtype: Any = "float32") -> np.ndarray[Any, Any]:
    return np.zeros(shape, dtype)


def test_an_input_is_described_as_one_writes_it() -> None:
    assert X.describe() == "x float32[batch,4]"


def test_arrays_come_back_in_the_order_of_the_inputs() -> None:
    x, mask = zeros(3, 4), zeros(3, dtype="bool")
    checked = check_inputs([X, MASK], AXES, {"mask": mask, "x": x})
    assert checked[0] is x
    assert checked[1] is mask


@pytest.mark.parametrize("names", [[], ["x"], ["x", "y"], ["x", "mask", "more"]])
def test_missing_and_superfluous_names_are_refused(names: list[str]) -> None:
    with pytest.raises(DeployError, match=r"Give exactly: x float32\[batch,4\], mask bool\[batch\]"):
        check_inputs([X, MASK], AXES, {name: zeros(1) for name in names})


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (zeros(2, 4, dtype="float64"), r"'x' is float64\[2,4\]"),
        (zeros(2, 4, dtype=">f4"), r"'x' is >f4\[2,4\]"),
        (zeros(4), r"'x' is float32\[4\]"),
        (zeros(2, 4, 1), r"'x' is float32\[2,4,1\]"),
        (zeros(2, 5), r"'x' is float32\[2,5\]"),
        (zeros(0, 4), "batch 1 to 8"),
        (zeros(9, 4), "batch 1 to 8"),
    ],
)
def test_a_wrong_dtype_or_shape_is_named(array: np.ndarray[Any, Any], said: str) -> None:
    with pytest.raises(DeployError, match=said):
        check_inputs([X], AXES, {"x": array})


@pytest.mark.parametrize("size", [1, 8])
def test_the_ends_of_a_range_are_accepted(size: int) -> None:
    array = zeros(size, 4)
    assert check_inputs([X], AXES, {"x": array}) == (array,)


def test_axes_of_one_name_must_have_one_size() -> None:
    with pytest.raises(DeployError, match=r"'mask' is bool\[3\]"):
        check_inputs([X, MASK], AXES, {"x": zeros(2, 4), "mask": zeros(3, dtype="bool")})


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused_where_an_op_is_undefined(value: float) -> None:
    with pytest.raises(DeployError, match="'x' holds NaN or infinity"):
        refuse_non_finite([X], [np.array([0, value], "float32")])


def test_golden_vectors_survive_the_file(tmp_path: Path) -> None:
    scale = TensorInfo(name="a.scale", dtype="float32", shape=())
    cases = [
        Case({"x": np.arange(8, dtype="float32").reshape(4, 2).T, "a.scale": np.float32(2) * np.ones(())}, {}),
        Case({"x": zeros(1, 4), "a.scale": np.zeros((), "float32")}, {}),
    ]
    save_cases(cases, tmp_path / "golden")
    loaded = load_cases(tmp_path / "golden", [X, scale], [])
    assert len(loaded) == 2
    for case, again in zip(cases, loaded, strict=True):
        assert list(again.inputs) == ["x", "a.scale"]
        for name, array in case.inputs.items():
            np.testing.assert_array_equal(again.inputs[name], array)
            assert again.inputs[name].shape == array.shape


@pytest.mark.parametrize("content", [b"", b"\x00" * 4, b"\x08\x00\x00\x00\x00\x00\x00\x00{}      ", b"not safetensors"])
def test_a_file_without_golden_vectors_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "golden.safetensors"
    path.write_bytes(content)
    with pytest.raises(DeployError, match=r"golden\.safetensors holds no golden vectors"):
        load_cases(path, [X], [])


@pytest.mark.parametrize("key", ["-1.inputs.x", "x", " 0.inputs.x", "0_0.inputs.x"])
def test_golden_vectors_of_no_case_are_refused(tmp_path: Path, key: str) -> None:
    save_file({key: zeros(1, 4)}, tmp_path / "golden")
    with pytest.raises(DeployError, match=f"'{key}' does not begin with the number of a case"):
        load_cases(tmp_path / "golden", [X], [])


def test_golden_vectors_of_another_model_are_refused(tmp_path: Path) -> None:
    save_cases([Case({"z": zeros(1, 4)}, {})], tmp_path / "golden")
    with pytest.raises(DeployError, match="holds no golden vectors"):
        load_cases(tmp_path / "golden", [X], [])
