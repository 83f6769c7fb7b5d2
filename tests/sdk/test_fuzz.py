"""The readers of manifests, golden vectors and zips, fuzzed with libFuzzer under ASan and UBSan for a while."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from deploypipe import cache
from deploypipe.native import toolchain
from deploypipe.native.sources import PROJECT

CORPUS = Path(__file__).parent / "corpus"
RUNS = 20_000

pytestmark = pytest.mark.slow


SMALLEST = """
#include <cstddef>
#include <cstdint>
extern "C" int LLVMFuzzerTestOneInput(const uint8_t*, size_t) { return 0; }
"""


def _has_fuzzer(folder: Path) -> bool:
    """Tells whether clang finds its libraries for that, which may be a package of their own."""
    if not shutil.which("clang++"):
        return False
    (folder / "smallest.cpp").write_text(SMALLEST)
    command = ["clang++", "-fsanitize=fuzzer,address", folder / "smallest.cpp", "-o", folder / "smallest"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the fuzzers, which stay in the cache: ASan makes them slow to compile."""
    folder, cmake = cache.folder("sdk-fuzz"), toolchain.tool("cmake")
    if not _has_fuzzer(tmp_path_factory.mktemp("smallest")):
        pytest.skip("clang++ with libFuzzer is not installed")
    settings = ["-DSDK_FUZZ=ON", "-DCMAKE_CXX_COMPILER=clang++", f"-DCMAKE_MAKE_PROGRAM={toolchain.tool('ninja')}"]
    configure = [cmake, "-G", "Ninja", "-S", PROJECT.directory / "sdk", "-B", folder, *settings]
    for command in (configure, [cmake, "--build", folder]):
        subprocess.run([str(word) for word in command], check=True, capture_output=True)
    return folder / "fuzz"


@pytest.mark.parametrize("name", ["manifest", "golden", "zip"])
def test_a_reader_survives(build: Path, tmp_path: Path, name: str) -> None:
    corpus = shutil.copytree(CORPUS / name, tmp_path / name)
    limits = [f"-runs={RUNS}", "-seed=1", "-max_len=4096", "-rss_limit_mb=2048", "-timeout=60"]
    command = [build / f"fuzz_{name}", *limits, corpus]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=600)
    assert done.returncode == 0, done.stderr[-4000:]
    assert f"Done {RUNS} runs" in done.stderr
