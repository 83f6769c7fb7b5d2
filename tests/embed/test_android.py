"""The Android project, as far as there is no Android: the JNI layer in a JVM and in an emulator, ELF files, names."""

from __future__ import annotations

import json
import os
import re
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import deploypipe
from deploypipe.embed import get, write
from deploypipe.embed.steps import runtime_library
from deploypipe.native import sdk, toolchain
from deploypipe.processing import classes, prepare
from tests.sdk import emulated

from . import elf
from .conftest import Embed, Shell

HERE = Path(__file__).parent
TEMPLATE = get("android").folder
NATIVE = TEMPLATE / "deploypipe/src/main/kotlin/io/deploypipe/Native.kt"
SOURCE = TEMPLATE / "deploypipe/src/main/cpp/deploypipe_jni.cpp"
PREFIX = "Java_io_deploypipe_Native_"
JAVA_OF = {
    "Boolean": "jboolean",
    "Int": "jint",
    "Long": "jlong",
    "ByteArray": "jbyteArray",
    "IntArray": "jintArray",
    "LongArray": "jlongArray",
    "DoubleArray": "jdoubleArray",
    "": "void",
}


def java_headers() -> str:
    """The compiler's options for jni.h, of the JDK whose javac is on PATH."""
    javac = shutil.which("javac")
    include = Path(os.environ.get("JAVA_HOME") or Path(javac or "").resolve().parents[1]) / "include"
    if javac is None or not (include / "jni.h").is_file():
        pytest.skip("there is no JDK")
    return f"-I{include} -I{include}/linux"


def declared() -> dict[str, tuple[str, ...]]:
    """The functions of Native.kt: what each returns and takes, as JNI calls it."""
    found = re.findall(r"external fun (\w+)\(([^)]*)\)(?:: ([\w<>]+))?", NATIVE.read_text())
    return {name: tuple(_jni(each) for each in (back, *_types(words))) for name, words, back in found}


def _types(words: str) -> list[str]:
    return [each.partition(":")[2].strip() for each in words.split(",") if each.strip()]


def _jni(kotlin: str) -> str:
    return "jobjectArray" if kotlin.startswith("Array<") else JAVA_OF[kotlin.removesuffix("?")]


def test_kotlin_declares_what_the_c_file_defines() -> None:
    found = re.findall(rf"JNIEXPORT (\w+) JNICALL {PREFIX}(\w+)\(([^)]*)\)", SOURCE.read_text())
    defined = {name: (back, *(each.split()[0] for each in words.split(",")[2:])) for back, name, words in found}
    assert len(defined) == 14
    assert declared() == defined


def test_the_java_class_of_these_tests_declares_the_same() -> None:
    text = (HERE / "jvm/io/deploypipe/Native.java").read_text()
    assert set(re.findall(r"static native \S+ (\w+)\(", text)) == set(declared())


def test_kotlin_files_lie_in_the_folders_of_their_packages_and_close_what_they_open() -> None:
    files = sorted(TEMPLATE.rglob("*.kt"))
    assert len(files) == 10
    for path in files:
        package = re.match(r"package (\S+)\n", path.read_text())
        assert package
        assert path.parent.as_posix().endswith("kotlin/" + package.group(1).replace(".", "/"))
    for path in (*files, *TEMPLATE.rglob("*.kts*")):
        for opening, closing in ("()", "{}", "[]"):
            assert path.read_text().count(opening) == path.read_text().count(closing), path


def test_gradle_takes_the_runtime_of_the_manifest(onnx_bundle: Path, embed: Embed) -> None:
    project = embed(onnx_bundle, "android")
    built_with = json.loads((onnx_bundle / "manifest.json").read_text())["runtime"]["built_with"]
    gradle = (project / "deploypipe/build.gradle.kts").read_text()
    assert f'runtimeOnly("com.microsoft.onnxruntime:onnxruntime-android:{built_with}")' in gradle
    assert "minSdk = 24" in gradle
    assert 'listOf("arm64-v8a", "x86_64")' in gradle
    for path in project.rglob("*.xml"):
        ET.parse(path)


@pytest.fixture
def pixels(digit: np.ndarray[Any, Any], tmp_path: Path) -> Path:
    """The 64 bytes of a digit."""
    path = tmp_path / "digit.raw"
    path.write_bytes(digit.tobytes())
    return path


def compile_line(compiler: str, options: str, source: Path, target: Path) -> str:
    return f"{compiler} -std=c++20 -Wall -Wextra -Werror {java_headers()} {source} {options} -o {target}"


def judge(said: str, bundle: Path, digit: np.ndarray[Any, Any]) -> None:
    """Compares what a program said through JNI with what Python says."""
    lines = said.splitlines()
    verdict = json.loads(lines[2])
    with deploypipe.load(bundle, native=False) as model:
        (logits,) = model(prepare(digit, model.manifest.processing.inputs["image"]))
        label, probability = classes(logits, model.manifest.processing.outputs["logits"])[0]
    assert re.fullmatch(rf"{re.escape(deploypipe.__version__)} 1\.\d+\.\d+", lines[0])
    assert int(lines[1]) == (bundle / "manifest.json").stat().st_size
    assert verdict["passed"], verdict
    assert {check["what"].partition(",")[0] for check in verdict["checks"]} == {"without op library"}
    assert lines[3:5] == ["1 1", "[1, 10]"]
    assert lines[5].split()[0] == label
    assert abs(float(lines[5].split()[1]) - probability) < 1e-4
    assert lines[6] == "true"
    assert re.match(r"2: \S+/nowhere is not a bundle", lines[7])
    assert [line.rstrip(". ") for line in lines[8:]] == [
        "1: An input has an unknown dtype",
        "1: An input has a shape of more bytes than its buffer",
        "1: An input has a shape of more bytes than its buffer",
        "1: An input is no direct buffer",
        "1: The image has fewer bytes than width x height x channels",
        "1: The image has fewer bytes than width x height x channels",
        "1: There is no such output",
    ]


@pytest.fixture(scope="module")
def here(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """libdeploypipe_jni.so for this machine, over the installed SDK."""
    folder, tree = tmp_path_factory.mktemp("jni"), sdk.tree()
    script = SOURCE.with_name("exports.map")
    options = (
        f"-shared -fPIC -I{tree}/include -L{tree}/lib -ldeploypipe -Wl,-rpath,{tree}/lib,--version-script={script}"
    )
    shell(compile_line("g++", options, SOURCE, folder / "libdeploypipe_jni.so"), folder)
    return folder


@pytest.mark.slow
def test_a_jvm_verifies_and_runs_a_bundle(
    here: Path, zoo_bundles: dict[str, Path], pixels: Path, digit: np.ndarray[Any, Any], shell: Shell, tmp_path: Path
) -> None:
    shell(f"javac -d classes {HERE}/jvm/io/deploypipe/*.java", tmp_path)
    library = runtime_library(deploypipe.load(zoo_bundles["lltm"], native=False).manifest)
    words = f"{zoo_bundles['lltm']} {library} {tmp_path} {pixels}"
    done = shell(f"java -Djava.library.path={here} -cp classes io.deploypipe.Main {words}", tmp_path)
    judge(done.stdout, zoo_bundles["lltm"], digit)


@pytest.mark.slow
def test_it_exports_what_kotlin_declares(here: Path) -> None:
    assert elf.exports(here / "libdeploypipe_jni.so") == {PREFIX + name for name in declared()}


@pytest.fixture(scope="module")
def arm(zoo_bundles: dict[str, Path], shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The project, and the folder in which its own CMake file has built it with the cross compiler of Linux."""
    home = tmp_path_factory.mktemp("arm")
    project = write(zoo_bundles["lltm"], get("android"), home / "project").place
    settings = {
        "CMAKE_TOOLCHAIN_FILE": toolchain.toolchain_file(emulated.PLATFORM),
        "CMAKE_PREFIX_PATH": sdk.sysroot(emulated.PLATFORM),
        "CMAKE_BUILD_TYPE": "Debug",
        "CMAKE_CXX_FLAGS_DEBUG": "-O0",
        "CMAKE_CXX_FLAGS": f"'{java_headers()}'",
    }
    words = " ".join(f"-D{name}={value}" for name, value in settings.items())
    shell(f"cmake -G Ninja -S project/deploypipe/src/main/cpp -B build {words}", home)
    shell("cmake --build build --target deploypipe deploypipe_jni", home)
    return project, home / "build"


@pytest.mark.slow
def test_the_project_for_arm_verifies_and_runs_its_asset_in_an_emulator(
    arm: tuple[Path, Path],
    emulator: str,
    zoo_bundles: dict[str, Path],
    pixels: Path,
    digit: np.ndarray[Any, Any],
    shell: Shell,
    tmp_path: Path,
) -> None:
    project, build = arm
    paths = f"-Wl,-rpath,{build}:{build}/sdk,-rpath-link,{sdk.sysroot(emulated.PLATFORM)}/lib"
    compiler = toolchain.cross_compiler(emulated.PLATFORM)
    shell(
        compile_line(compiler, f"-L{build} -ldeploypipe_jni {paths}", HERE / "fake_jvm.cpp", Path("fake_jvm")), tmp_path
    )
    library = emulated.runtime_library("onnxruntime")
    words = f"{project}/app/src/main/assets/model.dpb.zip {library} {tmp_path} {pixels}"
    judge(shell(f"{emulator} ./fake_jvm {words}", tmp_path).stdout, zoo_bundles["lltm"], digit)


@pytest.mark.slow
def test_libraries_for_arm_are_such_as_android_loads(arm: tuple[Path, Path]) -> None:
    _, build = arm
    jni, core = build / "libdeploypipe_jni.so", (build / "sdk" / "libdeploypipe.so").resolve()
    assert elf.exports(jni) == {PREFIX + name for name in declared()}
    functions = {name for name in elf.exports(core) if not name.startswith("_Z")}
    assert "dp_open" in functions
    assert all(name.startswith("dp_") for name in functions)
    assert "libdeploypipe.so.0" in elf.needed(jni)
    for library in (jni, core):
        assert elf.machine(library) == "AArch64"
        assert set(elf.alignments(library)) == {16384}
        # Built for Linux, it names glibc; what the NDK builds must not, and the next test asks.
        assert elf.glibc_versions(library)


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("ANDROID_NDK_HOME"), reason="ANDROID_NDK_HOME is not set")
def test_the_ndk_builds_libraries_that_name_no_glibc(onnx_bundle: Path, embed: Embed, shell: Shell) -> None:
    project = embed(onnx_bundle, "android")
    file = Path(os.environ["ANDROID_NDK_HOME"], "build", "cmake", "android.toolchain.cmake")
    words = f"-DCMAKE_TOOLCHAIN_FILE={file} -DANDROID_ABI=arm64-v8a -DANDROID_PLATFORM=android-24"
    shell(f"cmake -G Ninja -S deploypipe/src/main/cpp -B build -DANDROID_STL=c++_static {words}", project)
    shell("cmake --build build --target deploypipe deploypipe_jni", project)
    for library in (project / "build" / "libdeploypipe_jni.so", project / "build" / "sdk" / "libdeploypipe.so"):
        assert elf.machine(library) == "AArch64"
        assert set(elf.alignments(library)) == {16384}
        assert elf.needed(library) <= elf.ON_ANDROID | {"libdeploypipe.so"}
        assert elf.glibc_versions(library) == set()
