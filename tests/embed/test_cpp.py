"""The C++ project: built against an installed SDK by the steps that the command prints, here and for 64-bit ARM."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import deploypipe
from deploypipe.bundle import integrity
from deploypipe.embed.steps import runtime_library
from deploypipe.native import sdk, toolchain
from deploypipe.processing import classes, prepare
from tests.sdk import emulated

from .conftest import Embed, Shell

Digit = np.ndarray[Any, Any]


def expected(bundle: Path, image: Digit) -> list[tuple[str, float]]:
    """What Python says of an image, the probabilities in percent."""
    with deploypipe.load(bundle) as model:
        said = model.manifest.processing
        (logits,) = model(prepare(image, said.inputs["image"]))
        return [(label, 100 * value) for label, value in classes(logits, said.outputs["logits"])]


def told(text: str) -> list[tuple[str, float]]:
    """What the program says."""
    return [(label, float(value)) for label, value in re.findall(r"^  (\S+) +([\d.]+) %", text, re.MULTILINE)]


def same(left: list[tuple[str, float]], right: list[tuple[str, float]]) -> bool:
    """The same classes with the same probabilities, of which the program prints two places."""
    probabilities = dict(right)
    return left[0][0] == right[0][0] and all(abs(value - probabilities[label]) < 0.02 for label, value in left)


@pytest.fixture(scope="module")
def app(zoo_bundles: dict[str, Path], digit: Digit, shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project of lltm, built by the steps that are printed."""
    return _built(zoo_bundles["lltm"], digit, shell, tmp_path_factory.mktemp("lltm"))


def _built(bundle: Path, digit: Digit, shell: Shell, home: Path) -> Path:
    said = shell(f"deploypipe embed {bundle} project --for cpp", home).stdout
    project = home / "project"
    steps = [line.strip() for line in said.partition("Next:\n")[2].splitlines()]
    assert steps[0] == "cd project"
    assert steps[-1] == "build/classify IMAGE"
    Image.fromarray(digit).save(project / "digit.png")
    for step in steps[1:-1]:
        shell(step, project)
    return project


@pytest.mark.slow
def test_it_finds_the_class_that_python_finds(
    app: Path, zoo_bundles: dict[str, Path], digit: Digit, shell: Shell
) -> None:
    done = shell("build/classify digit.png", app)
    assert "bundle: verified on this machine, runtime 1." in done.stdout
    assert "digit.png: 8 x 8 pixels" in done.stdout
    assert re.search(r"^prepared and run in \d+\.\d\d ms$", done.stdout, re.MULTILINE)
    assert len(told(done.stdout)) == 10
    assert same(told(done.stdout), expected(zoo_bundles["lltm"], digit))


@pytest.mark.slow
def test_another_model_is_another_project(
    zoo_bundles: dict[str, Path], digit: Digit, shell: Shell, tmp_path: Path
) -> None:
    project = _built(zoo_bundles["gcwsnet"], digit, shell, tmp_path)
    assert same(told(shell("build/classify digit.png", project).stdout), expected(zoo_bundles["gcwsnet"], digit))


@pytest.mark.slow
def test_images_of_other_sizes_colours_and_formats_say_the_same(app: Path, digit: Digit, shell: Shell) -> None:
    large = Image.fromarray(digit).resize((64, 64), Image.Resampling.NEAREST)
    large.save(app / "large.pgm")
    large.convert("RGBA").save(app / "colour.png")
    Image.eval(large, lambda value: 255 - value).convert("RGB").save(app / "dark.jpg", quality=100)
    usual = told(shell("build/classify digit.png", app).stdout)
    for words in ("large.pgm", "colour.png", "dark.jpg --invert"):
        found = told(shell(f"build/classify {words}", app).stdout)
        assert found[0][0] == usual[0][0]
        assert abs(found[0][1] - usual[0][1]) < 1, words


@pytest.mark.slow
def test_bad_input_gets_one_sentence(app: Path, shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    damaged = Path(shutil.copytree(app / "bundle", tmp_path / "damaged"))
    (damaged / "model.onnx").write_bytes(b"damaged")
    image = app / "digit.png"
    for words, said in (
        ("", "usage: classify IMAGE"),
        (f"{image} --fast", "usage: classify IMAGE"),
        (f"{tmp_path}/text.png", "text.png cannot be read as an image"),
        (f"{image} {tmp_path}/nowhere", "Error: "),
        (f"{image} {damaged}", "model.onnx in "),
        (f"{image} --runtime-library {tmp_path}/text.png", "text.png"),
    ):
        done = shell(f"build/classify {words}", app, code=2)
        assert said in done.stderr
        assert done.stdout == ""


@pytest.mark.slow
def test_a_bundle_that_does_something_else_here_fails_the_test(app: Path, shell: Shell, tmp_path: Path) -> None:
    strict = Path(shutil.copytree(app / "bundle", tmp_path / "strict"))
    manifest = json.loads((strict / "manifest.json").read_text())
    manifest["limits"]["normalized_error"] = 1e-12
    (strict / "manifest.json").write_text(json.dumps(manifest))
    verdict = json.loads(shell(f"build/verify {strict}", app, code=1).stdout)
    assert verdict["passed"] is False
    assert verdict["failures"][0].startswith("logits: normalized_error ")
    done = shell(f"build/classify digit.png {strict}", app, code=1)
    assert "does not do on this machine what it did where it was built" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lltm", "gcwsnet"])
def test_the_same_program_for_arm_says_the_same_in_an_emulator(
    zoo_bundles: dict[str, Path], digit: Digit, shell: Shell, embed: Embed, emulator: str, tmp_path: Path, name: str
) -> None:
    project = embed(emulated.bundle_for_it(zoo_bundles[name], tmp_path), "cpp")
    settings = {
        "CMAKE_TOOLCHAIN_FILE": toolchain.toolchain_file(emulated.PLATFORM),
        "CMAKE_PREFIX_PATH": sdk.tree(emulated.PLATFORM),
        "CMAKE_EXE_LINKER_FLAGS": f"-Wl,-rpath-link,{sdk.sysroot(emulated.PLATFORM)}/lib",
    }
    words = " ".join(f"-D{key}={value}" for key, value in settings.items())
    shell(f"cmake -G Ninja -B build {words} && cmake --build build", project)
    Image.fromarray(digit).save(project / "digit.png")
    library = emulated.runtime_library("onnxruntime")
    done = shell(f"{emulator} build/classify digit.png --runtime-library {library}", project)
    assert same(told(done.stdout), expected(zoo_bundles[name], digit))


def test_the_runtime_of_the_installed_package_is_named(onnx_bundle: Path) -> None:
    library = runtime_library(integrity.check(onnx_bundle))
    assert library is not None
    assert Path(library).is_file()
