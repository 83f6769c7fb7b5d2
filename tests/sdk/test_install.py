"""An installed SDK in an app: found by CMake and pkg-config, used from C and C++, and what the library exports."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

import deploypipe
from deploypipe.native import sdk as sdks
from deploypipe.native import toolchain
from deploypipe.native.sources import PROJECT

HERE = Path(__file__).parent
C_FLAGS = ["-std=c11", "-pedantic", "-Wall", "-Wextra", "-Werror"]
CXX_FLAGS = ["-std=c++17", "-pedantic", "-Wall", "-Wextra", "-Werror"]
ARM = "linux-aarch64"


def output(*words: object, **variables: str) -> str:
    command = [str(word) for word in words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def symbols(library: Path) -> set[str]:
    """Returns the names that a library gives to others."""
    return {line.split()[-1] for line in output("nm", "-D", "--defined-only", library).splitlines()}


@pytest.fixture
def moved(tree: Path, tmp_path: Path) -> Path:
    """The SDK in another folder than it was installed to."""
    return Path(shutil.copytree(tree, tmp_path / "moved" / "sdk", symlinks=True))


def test_a_c_program_by_pkg_config(moved: Path, bundle: Path, echo_folder: Path, tmp_path: Path) -> None:
    if not shutil.which("pkg-config"):
        pytest.skip("pkg-config is not installed")
    places = {"PKG_CONFIG_PATH": str(moved / "lib" / "pkgconfig")}
    assert output("pkg-config", "--modversion", "deploypipe", **places).strip() == deploypipe.__version__
    flags = output("pkg-config", "--cflags", "--libs", "deploypipe", **places).split()
    output("gcc", *C_FLAGS, HERE / "app.c", *flags, "-o", tmp_path / "app")
    said = output(tmp_path / "app", bundle, echo_folder, LD_LIBRARY_PATH=str(moved / "lib"))
    verdict, values = said.splitlines()
    assert json.loads(verdict)["passed"]
    assert values.split() == ["2", "4", "6", "8", "10", "12"]


def test_pkg_config_finds_it_in_a_folder_for_one_architecture(tmp_path: Path) -> None:
    settings = ["-DCMAKE_INSTALL_LIBDIR=lib/x86_64-linux-gnu", "-DSDK_BACKENDS=litert"]
    tools = ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={toolchain.tool('ninja')}"]
    output(toolchain.tool("cmake"), "-S", PROJECT.directory / "sdk", "-B", tmp_path, *tools, *settings)
    lines = dict(line.split("=", 1) for line in (tmp_path / "deploypipe.pc").read_text().splitlines() if "=" in line)
    assert Path(lines["prefix"]) == Path("${pcfiledir}/../../..")
    assert lines["libdir"] == "${prefix}/lib/x86_64-linux-gnu"


PROJECT_FILE = """\
cmake_minimum_required(VERSION 3.22)
project(app C CXX)
find_package(deploypipe {version} REQUIRED)
set(CMAKE_C_STANDARD 11)
set(CMAKE_CXX_STANDARD 17)
add_executable(c_app app.c)
add_executable(cpp_app app.cpp)
target_link_libraries(c_app PRIVATE deploypipe::deploypipe)
target_link_libraries(cpp_app PRIVATE deploypipe::deploypipe)
"""


def cmake(source: Path, prefix: Path) -> Path:
    """Builds a project, and returns the folder of its programs."""
    build = source / "build"
    tool = toolchain.tool("cmake")
    places = [f"-DCMAKE_PREFIX_PATH={prefix}", f"-DCMAKE_MAKE_PROGRAM={toolchain.tool('ninja')}"]
    flags = [f"-DCMAKE_C_FLAGS={' '.join(C_FLAGS[1:])}", f"-DCMAKE_CXX_FLAGS={' '.join(CXX_FLAGS[1:])}"]
    output(tool, "-G", "Ninja", "-S", source, "-B", build, *places, *flags)
    output(tool, "--build", build)
    return build


def test_c_and_cpp_programs_by_find_package(moved: Path, bundle: Path, echo_folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "project"
    source.mkdir()
    for name in ("app.c", "app.cpp"):
        shutil.copy2(HERE / name, source)
    (source / "CMakeLists.txt").write_text(PROJECT_FILE.format(version=deploypipe.__version__))
    build = cmake(source, moved)
    assert "2 4 6 8 10 12" in output(build / "c_app", bundle, echo_folder)
    done = subprocess.run([build / "cpp_app", bundle, echo_folder], capture_output=True, text=True, check=False)
    assert done.stdout.endswith("2 4 6 8 10 12 There is no tensor of that number\n")
    assert done.returncode == 1
    assert done.stderr == "1 Input 'x' is float32[6]. It must be x float32[batch,3].\n"


def test_another_minor_version_is_not_found(moved: Path, tmp_path: Path) -> None:
    (tmp_path / "CMakeLists.txt").write_text(PROJECT_FILE.format(version="0.99"))
    command = [toolchain.tool("cmake"), "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={moved}"]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "version: 0.1.0" in done.stderr


def test_the_library_exports_the_c_api_and_what_backends_throw(tree: Path) -> None:
    found = symbols(tree / "lib" / "libdeploypipe.so")
    header = (tree / "include" / "deploypipe" / "deploypipe.h").read_text()
    declared = {line.split("(")[0].split()[-1].lstrip("*") for line in header.splitlines() if line.startswith("DP_API")}
    assert len(declared) > 20
    assert {name for name in found if name.startswith("dp_")} == declared
    assert not {name for name in found if not name.startswith(("dp_", "_Z"))}  # types of exceptions
    assert (tree / "lib" / "libdeploypipe.so.0").is_symlink()


def test_the_library_needs_no_runtime(tree: Path) -> None:
    lines = output("readelf", "-d", tree / "lib" / "libdeploypipe.so").splitlines()
    names = {line.split("[")[1].rstrip("]") for line in lines if "NEEDED" in line}
    assert names <= {"libz.so.1", "libstdc++.so.6", "libm.so.6", "libgcc_s.so.1", "libc.so.6", "ld-linux-x86-64.so.2"}


def test_the_presets_are_read_by_cmake() -> None:
    listed = output(toolchain.tool("cmake"), "-S", PROJECT.directory / "sdk", "--list-presets", ANDROID_NDK_HOME="/ndk")
    found = {line.split('"')[1] for line in listed.splitlines() if '"' in line}
    assert found == {"host", ARM, "android-arm64"}
    table = json.loads((PROJECT.directory / "sdk" / "CMakePresets.json").read_text())
    android = next(each for each in table["configurePresets"] if each["name"] == "android-arm64")["cacheVariables"]
    assert android["ANDROID_STL"] == "c++_static"
    for kind in ("SHARED", "EXE"):
        assert "max-page-size=16384" in android[f"CMAKE_{kind}_LINKER_FLAGS"]


@pytest.mark.slow
@pytest.mark.skipif(sdks.sysroot(ARM) is None, reason="scripts/sysroot was not run")
@pytest.mark.skipif(not shutil.which("qemu-aarch64"), reason="there is no emulator")
def test_the_sdk_for_arm_runs_in_the_emulator(bundle: Path, tmp_path: Path) -> None:
    """The C program says there what it says here: there is no such backend."""
    tree, place = sdks.tree(ARM), sdks.sysroot(ARM)
    assert place
    header = output("readelf", "-h", tree / "lib" / "libdeploypipe.so")
    assert "AArch64" in header
    output("aarch64-linux-gnu-gcc", *C_FLAGS, HERE / "app.c", f"-I{tree / 'include'}", f"-L{tree / 'lib'}",
           "-ldeploypipe", f"-Wl,-rpath-link,{place / 'lib'}", "-o", tmp_path / "app")  # fmt: skip
    paths = f"LD_LIBRARY_PATH={tree / 'lib'}:{place / 'lib'}"
    emulator = ["qemu-aarch64", "-cpu", "cortex-a53", "-L", "/usr/aarch64-linux-gnu", "-E", paths, tmp_path / "app"]
    assert output(*emulator).strip() == deploypipe.__version__
    done = subprocess.run([str(word) for word in (*emulator, bundle)], capture_output=True, text=True, check=False)
    assert done.stderr.startswith("This SDK has no backend for echo. It has: onnxruntime, litert, aotinductor.")
