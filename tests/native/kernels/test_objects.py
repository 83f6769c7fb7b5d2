"""What the compiler made of the kernels: code of an instruction set is in the objects of that set alone."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploypipe import cache, native
from deploypipe.native import toolchain

CSRC = native.PROJECT.directory
X86 = ("Portable", "Sse4", "Avx2", "Avx512", "Avx512Vnni")
ARM = ("Portable", "Neon", "NeonDot")
SSE4 = r"\b(round[ps]s|pmulld|ptest|blendvps|p(min|max)sd|pmov[sz]x\w+|pinsr[dq]|pextr[dq])\b"
# What the code of a set must not hold, by operands or names: instructions of the next one.
FORBIDDEN = {
    "Portable": r"\b[yz]mm|\bv[a-z]+ps\b|" + SSE4,
    "Sse4": r"\b[yz]mm|\bv[a-z]+ps\b",
    "Avx2": r"\bzmm|%k[0-7]",
    "Avx512": r"\bvpdp",
    "Neon": r"\b[su]dot\b",
}


def settings(tree: Path) -> dict[str, str]:
    """Returns what CMake was told in a build tree."""
    cached = (tree / "CMakeCache.txt").read_text()
    return dict(re.findall(r"^(\w+):\w+=(.*)$", cached, re.MULTILINE))


def tree_of(platform: str | None) -> Path:
    """Returns the tree in which the project's ops have been built for a platform, with all objects up to date."""
    native.library("standalone", platform=platform)
    for file in cache.root().glob("native-trees/*/CMakeCache.txt"):
        found = settings(file.parent)
        if found["CMAKE_HOME_DIRECTORY"] != str(CSRC) or ("CMAKE_TOOLCHAIN_FILE" in found) != (platform is not None):
            continue
        cmake = toolchain.tool("cmake") or "cmake"
        subprocess.run([cmake, str(file.parent), f"-DOP_SOURCE={CSRC}", "-DOP_NAMESPACE=deploypipe"], check=True)
        subprocess.run([cmake, "--build", str(file.parent), "--target", "deploypipe_ops"], check=True)
        return file.parent
    raise AssertionError("there is no build tree")


@pytest.fixture(scope="module")
def x86() -> Path:
    return tree_of(None) / "CMakeFiles"


@pytest.fixture(scope="module")
def arm() -> Path:
    return tree_of("linux-aarch64") / "CMakeFiles"


def made_of(target: Path, folder: str = "") -> list[Path]:
    """Returns the objects of a CMake target whose sources are still there."""
    found = sorted((target / folder).rglob("*.o"))
    return [path for path in found if (CSRC / path.relative_to(target)).with_suffix("").exists()]


def objects(tree: Path, isa: str) -> list[Path]:
    """Returns the objects of a set; one for each source."""
    found = made_of(tree / f"deploypipe_ops_{isa}.dir")
    assert [path.stem for path in found] == sorted(path.name for path in CSRC.glob("kernels/*_simd.cpp"))
    return found


def inspect(tool: tuple[str, ...], path: Path) -> str:
    prefix = "aarch64-linux-gnu-" if path.read_bytes()[18] == 183 else ""
    return subprocess.run([prefix + tool[0], *tool[1:], str(path)], capture_output=True, text=True, check=True).stdout


def code(path: Path) -> str:
    return inspect(("objdump", "-d", "--no-show-raw-insn"), path)


def weak(path: Path) -> list[str]:
    """Returns the symbols of which the linker keeps any one."""
    rows = (line.split(maxsplit=2) for line in inspect(("nm", "--demangle", "--defined-only"), path).splitlines())
    return [name for _, kind, name in rows if kind in "VWvwu"]


@pytest.mark.parametrize("isa", X86)
def test_no_object_has_a_weak_symbol(x86: Path, isa: str) -> None:
    assert {path.name: weak(path) for path in objects(x86, isa)} == {path.name: [] for path in objects(x86, isa)}


@pytest.mark.parametrize("isa", ARM)
def test_no_object_for_arm_has_a_weak_symbol(arm: Path, isa: str) -> None:
    assert {path.name: weak(path) for path in objects(arm, isa)} == {path.name: [] for path in objects(arm, isa)}


@pytest.mark.parametrize("isa", ["Portable", "Sse4", "Avx2", "Avx512"])
def test_a_set_has_no_instruction_of_the_next(x86: Path, isa: str) -> None:
    for path in objects(x86, isa):
        assert re.search(FORBIDDEN[isa], code(path)) is None, path.name


def test_no_instruction_of_a_set_around_the_kernels(x86: Path) -> None:
    for path in made_of(x86 / "deploypipe_ops.dir") + made_of(x86 / "binding_standalone.dir"):
        assert re.search(FORBIDDEN["Portable"], code(path)) is None, path.name


def test_each_set_is_used(x86: Path, arm: Path) -> None:
    """The flags arrive: without them Highway takes an older target, silently."""
    assert any(re.search(SSE4, code(path)) for path in objects(x86, "Sse4"))
    for isa, wanted in (("Avx2", r"\bymm"), ("Avx512", r"\bzmm")):
        for path in objects(x86, isa):
            assert re.search(wanted, code(path)), f"{path.name} of {isa}"
    assert any("vpdpbusd" in code(path) for path in objects(x86, "Avx512Vnni"))
    assert any(re.search(r"\bsdot\b", code(path)) for path in objects(arm, "NeonDot"))
    for isa in ("Portable", "Neon"):
        assert not any(re.search(FORBIDDEN["Neon"], code(path)) for path in objects(arm, isa))


FUSED = r"\bvfn?m(add|sub)|\bfn?m(add|sub|l[as])\b"


def test_nothing_is_fused_in_cws(x86: Path, arm: Path) -> None:
    """A product that is added without being rounded gives other hashes; tables fuse only what is exact."""
    found = [path for tree in (x86, arm) for path in tree.glob("deploypipe_ops*.dir/kernels/cws*.o")]
    found = [path for path in found if path.name != "cws_tables_simd.cpp.o"]
    assert len(found) > len(X86) + len(ARM)
    assert [str(path) for path in found if re.search(FUSED, code(path))] == []


def needs() -> Iterator[tuple[str, str]]:
    """Yields the set and the feature of each flag in CMakeLists.txt, as __builtin_cpu_supports names it."""
    lists = (CSRC / "CMakeLists.txt").read_text()
    for isa, flags in re.findall(r"set\(flags_(\w+) ([^)]*)\)", lists):
        yield from ((isa, flag) for flag in re.findall(r"-m(?!arch)([\w.]+)", flags))


def test_the_processor_is_asked_for_every_feature_that_is_used() -> None:
    source = (CSRC / "simd" / "isa.cpp").read_text()
    parts = dict(re.findall(r"case Isa::k(\w+):\s+return (.*?);", source, re.DOTALL))
    asked = {(isa, name) for isa, text in parts.items() for name in re.findall(r'supports\("([\w.]+)"\)', text)}
    assert len(asked) > 10
    assert set(needs()) == asked
