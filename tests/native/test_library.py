"""Building: once for the same input, with clear errors, for a user's folder as for the project's."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from deploypipe import cache, native
from deploypipe.errors import DeployError
from deploypipe.native import compile as native_compile

OwnSource = Callable[[str, str], native.OpSource]


def test_a_library_is_built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = native.library("onnxruntime")

    def no_build(*_: object) -> None:
        pytest.fail("an unchanged library was built again")

    monkeypatch.setattr(native_compile, "run", no_build)
    assert native.library("onnxruntime") == first


def test_a_library_describes_its_ops(mine: native.OpSource) -> None:
    found = native.describe(native.library("executorch", mine))
    assert found["namespace"] == "mine"
    square, pool = found["ops"]
    assert square["inputs"] == [{"name": "x", "dtype": "float32", "dims": ["..."]}]
    assert not square["training"]
    assert pool["attributes"] == [
        {"name": "width", "type": "int", "default": None},
        {"name": "stride", "type": "int", "default": 2},
        {"name": "scale", "type": "float", "default": 0.25},
    ]
    assert pool["outputs"][0] == {"name": "low", "dtype": "int8", "dims": ["B", "(L-width)/stride+1"]}


def test_the_projects_ops_and_their_gradients() -> None:
    ops = {op["name"]: op["training"] for op in native.describe(native.library("torch"))["ops"]}
    training = {"square_backward": True, "lltm_training": True, "lltm_backward": True}
    hashes = {f"cws{kind}": False for kind in ("", "_dense", "_sparse", "_codes", "_generated")}
    cells = {"lltm": False, "lltm_packed": False, "lltm_int8": False}
    assert ops == {"square": False, **cells, **hashes, **training}


def test_what_is_not_an_op_library(tmp_path: Path) -> None:
    (tmp_path / "lib.so").write_bytes(b"\x7fELF and more")
    with pytest.raises(DeployError, match="is not an op library"):
        native.describe(tmp_path / "lib.so")
    with pytest.raises(DeployError, match="cannot be read: No such file"):
        native.describe(tmp_path / "none.so")


def test_the_first_compiler_errors_are_shown(own: OwnSource) -> None:
    with pytest.raises(DeployError, match=r"op library broken_onnxruntime failed") as caught:
        native.library("onnxruntime", own("broken", "int x = ;"))
    assert "error: expected primary-expression before" in caught.value.message
    log = caught.value.cure.removeprefix("The whole log is ").removesuffix(".")
    assert "expected primary-expression" in Path(log).read_text()


def test_a_wrong_signature_is_said_in_one_line(own: OwnSource) -> None:
    ops_h = """
#include "op.h"
namespace op {
struct Bad {
  static constexpr auto signature = "bad(x[N]) -> y[M]";
  static void compute(View<const float>, View<float>) {}
};
using Ops = List<Bad>;
}"""
    with pytest.raises(DeployError) as caught:
        native.library("onnxruntime", own("signs", ops_h))
    assert caught.value.message.endswith(
        "a signature is wrong: a dimension must stand alone in some input, as the H of h0[B,H]"
    )


def test_two_ops_of_one_name_do_not_compile(own: OwnSource) -> None:
    ops_h = """
#include "op.h"
namespace op {
struct One {
  static constexpr auto signature = "one(x[N]) -> y[N]";
  static void compute(View<const float>, View<float>) {}
};
using Ops = List<One, One>;
}"""
    with pytest.raises(DeployError, match="two ops of the list have the same name"):
        native.library("onnxruntime", own("twice", ops_h))


def test_a_failed_build_leaves_nothing_and_can_be_repeated(own: OwnSource) -> None:
    source = own("mended", "nonsense")
    with pytest.raises(DeployError, match="failed"):
        native.library("onnxruntime", source)
    (source.directory / "ops.h").write_text('#include "op.h"\nnamespace op { using Ops = List<>; }')
    assert native.describe(native.library("onnxruntime", source)) == {"namespace": "mended", "ops": []}


def test_a_change_of_one_library_leaves_the_kernels_of_the_others(mine: native.OpSource) -> None:
    trees = cache.root() / "native-trees"
    native.library("onnxruntime", mine)
    before = set(trees.iterdir())
    native.library("standalone", mine)
    assert set(trees.iterdir()) == before


def test_cross_compilation_for_arm() -> None:
    if shutil.which("aarch64-linux-gnu-g++") is None:
        with pytest.raises(DeployError, match=r"aarch64-linux-gnu-g\+\+ is not there"):
            native.library("onnxruntime", platform="linux-aarch64")
        return
    library = native.library("onnxruntime", platform="linux-aarch64")
    machine = library.read_bytes()[18:20]
    assert int.from_bytes(machine, "little") == 183  # EM_AARCH64
    assert native.describe(library) == native.describe(native.library("onnxruntime"))
