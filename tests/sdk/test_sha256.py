"""SHA-256 on the vectors of NIST (FIPS 180-2, appendix B, and CAVP), and around the ends of blocks."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from deploypipe.native import toolchain
from deploypipe.native.sources import PROJECT

Digest = Callable[..., str]

VECTORS = {
    b"": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    b"abc": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq": (
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
    b"a" * 1_000_000: "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
}


@pytest.fixture(scope="module")
def digest(tmp_path_factory: pytest.TempPathFactory) -> Digest:
    source, program = PROJECT.directory / "sdk", tmp_path_factory.mktemp("sha256") / "sha256"
    files = [Path(__file__).parent / "sha256.cpp", source / "sha256.cpp"]
    flags = ["-std=c++20", "-O1", f"-I{source}", f"-I{source / 'include'}"]
    subprocess.run([str(toolchain.compiler()), *flags, *map(str, files), "-o", str(program)], check=True)

    def run(content: bytes, piece: int = 1 << 16) -> str:
        return subprocess.run([program, str(piece)], input=content, capture_output=True, check=True).stdout.decode()

    return run


@pytest.mark.parametrize(("content", "expected"), VECTORS.items(), ids=["empty", "one block", "two blocks", "long"])
def test_the_vectors_of_nist(digest: Digest, content: bytes, expected: str) -> None:
    assert digest(content) == expected


@pytest.mark.parametrize("size", [55, 56, 63, 64, 65, 119, 120, 128, 1000])
def test_any_size_in_any_pieces(digest: Digest, size: int) -> None:
    content = bytes(i % 251 for i in range(size))
    expected = hashlib.sha256(content).hexdigest()
    assert [digest(content, piece) for piece in (1, 7, 64, 1000)] == [expected] * 4
