"""The verdict of JavaScript is that of Python, for good bundles and for wrong ones."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from deploypipe.bundle import archive
from tests.bundle.damage import GOLDEN, change_golden, edit, mend

from .verdicts import App, Node, assert_same_verdict, inlined


def other_type(bundle: Path) -> None:
    """Lets the golden outputs be of another type than the model's."""
    tensors = load_file(bundle / GOLDEN)
    save_file({n: a.astype("float64") if ".outputs." in n else a for n, a in tensors.items()}, bundle / GOLDEN)


def half_wrong(bundle: Path) -> None:
    """Changes every other golden output by a little."""
    tensors = load_file(bundle / GOLDEN)
    for name, array in tensors.items():
        if ".outputs." in name:
            array.reshape(-1)[::2] += 1
    save_file(tensors, bundle / GOLDEN)


def not_finite(bundle: Path) -> None:
    """Lets a golden output hold NaN where the model gives a number."""
    tensors = load_file(bundle / GOLDEN)
    tensors["0.outputs.y"].reshape(-1)[0] = float("nan")
    save_file(tensors, bundle / GOLDEN)


def generous(bundle: Path) -> None:
    change_golden(bundle)
    edit(bundle, lambda table: table["limits"].update(normalized_error=1e3, unequal_share=1))


def untouched(bundle: Path) -> None:
    """A good bundle stays one."""


CASES: list[tuple[str, Callable[[Path], None]]] = [
    ("onnx_bundle", untouched),
    ("hashing_onnx", untouched),
    ("onnx_bundle", change_golden),
    ("hashing_onnx", change_golden),
    ("onnx_bundle", half_wrong),
    ("hashing_onnx", half_wrong),
    ("onnx_bundle", other_type),
    ("onnx_bundle", not_finite),
    ("hashing_onnx", generous),
]


@pytest.fixture
def bundles(request: pytest.FixtureRequest, tmp_path: Path) -> list[Path]:
    """The bundles of CASES, each with digests that hide what was changed."""
    made = []
    for number, (fixture, change) in enumerate(CASES):
        bundle = Path(shutil.copytree(request.getfixturevalue(fixture), tmp_path / "cases" / str(number)))
        change(bundle)
        mend(bundle)
        made.append(bundle)
    return made


@pytest.mark.slow
def test_the_same_bundle_gets_the_same_verdict(app: App, node: Node, onnx_bundle: Path, bundles: list[Path]) -> None:
    found = node("check.mjs", app(onnx_bundle), *bundles)
    for verdict, bundle in zip(found, bundles, strict=True):
        assert_same_verdict(verdict, inlined(bundle))
    assert [verdict["passed"] for verdict in found] == [True, True, False, False, False, False, False, False, True]


@pytest.mark.slow
def test_chromium_opens_folders_and_zips_by_their_urls(
    app: App, node: Node, onnx_bundle: Path, hashing_onnx: Path
) -> None:
    place = app(hashing_onnx)
    archive.pack_zip(hashing_onnx, place / "hashing.zip")
    change_golden(onnx_bundle)
    mend(onnx_bundle)
    archive.pack_zip(onnx_bundle, place / "wrong.zip")
    names = ("bundle", "bundle?v=1#x", "hashing.zip", "wrong.zip", "none.zip")
    folder, version, packed, wrong, nothing = node("verify.mjs", place, *names)
    assert_same_verdict(folder, inlined(hashing_onnx))
    assert_same_verdict(version, inlined(hashing_onnx))
    assert_same_verdict(packed, inlined(hashing_onnx))
    assert_same_verdict(wrong, inlined(onnx_bundle))
    assert nothing["name"] == "DeployError"
    assert nothing["message"].endswith("/none.zip")


@pytest.mark.slow
@pytest.mark.parametrize(("change", "code", "said"), [(untouched, 0, "pass: 2 checks"), (change_golden, 1, "FAIL y: ")])
def test_the_test_of_the_app_tells_by_its_exit_code(
    app: App, onnx_bundle: Path, change: Callable[[Path], None], code: int, said: str
) -> None:
    change(onnx_bundle)
    mend(onnx_bundle)
    done = subprocess.run(["npm", "test"], cwd=app(onnx_bundle), capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert said in done.stdout


@pytest.mark.slow
def test_the_test_of_an_app_without_a_bundle_says_so(app: App, onnx_bundle: Path) -> None:
    place = app(onnx_bundle)
    shutil.rmtree(place / "bundle")
    done = subprocess.run(["node", "test.mjs"], cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "/bundle is not a bundle: it has no manifest.json. Name the folder that holds it." in done.stderr
