"""`deploypipe export-triton`."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import Cli


def test_it_says_how_to_start_triton(cli: Cli, hashing_script: Path, tmp_path: Path) -> None:
    done = cli("export-triton", hashing_script, tmp_path / "repository", "--mount", "/srv/models", code=0)
    library = "/srv/models/hashing/1/libdeploypipe_torch.so"
    assert f"LD_PRELOAD={library} tritonserver --model-repository=/srv/models" in done.stdout
    assert (tmp_path / "repository" / "hashing" / "config.pbtxt").is_file()


def test_what_is_there_is_an_error(cli: Cli, onnx_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    done = cli("export-triton", onnx_bundle, tmp_path, code=2)
    assert "is there already" in done.stderr
