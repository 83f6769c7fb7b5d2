"""Damaged and foreign bundles: `verify`, `inspect` and `run` say what is wrong, and nothing is written."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import deploypipe
from deploypipe.errors import DeployError

from . import damage
from .damage import GOLDEN, edit, library, mend

Cli = Callable[..., object]

FORMAT = "deploypipe_bundle"
FOREIGN = b"\x7fELF, but of another machine"


def link(bundle: Path) -> None:
    moved = bundle.parent / "moved"
    (bundle / "model.onnx").rename(moved)
    (bundle / "model.onnx").symlink_to(moved)


def link_folder(bundle: Path) -> None:
    (bundle / "lib").rename(bundle.parent / "moved")
    (bundle / "lib").symlink_to(bundle.parent / "moved")


def escape(bundle: Path) -> None:
    (bundle / "model.onnx").rename(bundle.parent / "escaped")
    edit(bundle, lambda table: rename(table, "model.onnx", "../escaped"))


def absolute(bundle: Path) -> None:
    edit(bundle, lambda table: rename(table, "model.onnx", str(bundle / "model.onnx")))


def rename(table: dict, old: str, new: str) -> None:
    table["artifact"] = new
    for listing in (table["files"], table["sizes"]):
        listing[new] = listing.pop(old)


def unlisted_artifact(bundle: Path) -> None:
    edit(bundle, lambda table: table.update(artifact="other.onnx"))


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no manifest": (lambda b: (b / "manifest.json").unlink(), "is not a bundle: it has no manifest.json"),
    "manifest cut": (lambda b: damage.truncate(b / "manifest.json"), "manifest.json is damaged"),
    "manifest is a list": (lambda b: (b / "manifest.json").write_text("[]"), "manifest.json is damaged"),
    "manifest is binary": (lambda b: (b / "manifest.json").write_bytes(b"\xff\x00"), "manifest.json is damaged"),
    "manifest with an unknown key": (lambda b: edit(b, lambda t: t.update(more=1)), "is damaged: more: "),
    "manifest without a format": (lambda b: edit(b, lambda t: t.pop(FORMAT)), f"is damaged: {FORMAT}: Field required"),
    "newer manifest": (lambda b: edit(b, lambda t: t.update({FORMAT: 2, "new": 1})), "has format 2; this deploypipe"),
    "artifact missing": (lambda b: (b / "model.onnx").unlink(), "model.onnx is missing"),
    "artifact truncated": (lambda b: damage.truncate(b / "model.onnx"), "model.onnx in .* bytes instead of"),
    "artifact changed": (lambda b: damage.flip(b / "model.onnx"), "model.onnx in .* was changed: its SHA-256"),
    "golden vectors changed": (damage.change_golden, f"{GOLDEN} in .* was changed: its SHA-256"),
    "op library missing": (lambda b: library(b).unlink(), "lib/.*so is missing"),
    "op library changed": (lambda b: damage.flip(library(b)), "lib/.*so in .* was changed: its SHA-256"),
    "path escape": (escape, "names a file outside of it: ../escaped"),
    "absolute path": (absolute, "names a file outside of it: /"),
    "artifact not listed": (unlisted_artifact, "uses other.onnx but does not list it"),
    "file not listed": (lambda b: (b / "extra").touch(), "holds extra, which its manifest does not list"),
    "link": (link, "model.onnx in .* is a link"),
    "linked folder": (link_folder, "lib/.* in .* is a link|holds lib, which"),
    "dangling link": (lambda b: (b / "extra").symlink_to("nowhere"), "holds extra, which"),
    "unknown runtime": (lambda b: edit(b, lambda t: t["runtime"].update(name="os")), "There is no runtime 'os'"),
    "version that is none": (lambda b: edit(b, lambda t: t["runtime"].update(min_version="x")), "min_version"),
}


@pytest.mark.parametrize(("do", "said"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_bundle_is_not_loaded(hashing_onnx: Path, do: Callable[[Path], object], said: str) -> None:
    do(hashing_onnx)
    with pytest.raises(DeployError, match=said) as caught:
        deploypipe.load(hashing_onnx)
    assert caught.value.cure


CHOSEN = ("op library missing", "artifact truncated", "golden vectors changed", "newer manifest", "path escape", "link")


@pytest.mark.parametrize("name", CHOSEN)
def test_the_command_line_refuses_a_damaged_bundle_and_writes_nothing(cli: Cli, hashing_onnx: Path, name: str) -> None:
    do, said = DAMAGES[name]
    do(hashing_onnx)
    np.savez(hashing_onnx.parent / "in.npz", x=damage.ones(2, 6))
    before = sorted(hashing_onnx.parent.rglob("*"))
    said_by = [
        cli("verify", hashing_onnx, code=2),
        cli("inspect", hashing_onnx, code=2),
        cli("run", hashing_onnx, "--input", "../in.npz", "--output", "../out.npz", code=2),
    ]
    for done in said_by:
        assert re.search(f"^Error: .*{said}", done.stderr)
        assert done.stdout == ""
    assert sorted(hashing_onnx.parent.rglob("*")) == before


@pytest.mark.parametrize("bundle", ["hashing_onnx", "hashing_script"])
def test_an_op_library_of_another_abi_is_refused_before_it_is_loaded(
    request: pytest.FixtureRequest, cli: Cli, bundle: str
) -> None:
    path = request.getfixturevalue(bundle)
    damage.other_abi(path)
    library(path).write_bytes(FOREIGN)  # would be another error
    mend(path)
    with pytest.raises(DeployError, match=r"op library of this bundle was built for \w+ 99.1; .* is installed"):
        deploypipe.load(path)
    done = cli("verify", path, code=1)
    assert "was built for" in done.stdout
    assert "99.1" in done.stdout


@pytest.mark.parametrize(("bundle", "runtime"), [("hashing_onnx", "ONNX Runtime"), ("hashing_script", "torch")])
def test_an_op_library_that_does_not_load_fails_the_verdict(
    request: pytest.FixtureRequest, cli: Cli, bundle: str, runtime: str
) -> None:
    path = request.getfixturevalue(bundle)
    library(path).write_bytes(FOREIGN)
    mend(path)
    done = cli("verify", path, code=1)
    assert f"The op library {library(path).name} does not load in {runtime}" in done.stdout
    np.savez(path.parent / "in.npz", x=damage.ones(2, 6))
    done = cli("run", path, "--input", "../in.npz", "--output", "out.npz", code=2)
    assert "does not load in" in done.stderr


def test_an_op_library_taken_out_of_the_manifest_too_is_missed(hashing_script: Path, cli: Cli) -> None:
    library(hashing_script).unlink()
    edit(hashing_script, lambda table: table["ops"][0].update(library=None, abi={}))
    mend(hashing_script)
    done = cli("verify", hashing_script, code=1)
    assert "model.pt does not load in torch" in done.stdout


@pytest.mark.parametrize("bundle", ["onnx_bundle", "script_bundle"])
def test_a_truncated_artifact_with_mended_digests_fails_the_verdict(
    request: pytest.FixtureRequest, cli: Cli, bundle: str
) -> None:
    path = request.getfixturevalue(bundle)
    damage.truncate(next(path.glob("model.*")))
    mend(path)
    assert "does not load in" in cli("verify", path, code=1).stdout


@pytest.mark.parametrize("content", [b"", bytes(range(100))])
def test_golden_vectors_that_are_none_are_bad_input(onnx_bundle: Path, cli: Cli, content: bytes) -> None:
    (onnx_bundle / GOLDEN).write_bytes(content)
    mend(onnx_bundle)
    assert "holds no golden vectors" in cli("verify", onnx_bundle, code=2).stderr


def test_changed_golden_vectors_with_mended_digests_fail_the_verdict(onnx_bundle: Path, cli: Cli) -> None:
    damage.change_golden(onnx_bundle)
    mend(onnx_bundle)
    done = cli("verify", onnx_bundle, code=1)
    assert "FAIL" in done.stdout
    assert "y: normalized_error" in done.stdout
    assert "limit 0.0001 (without op library, batch=1)" in done.stdout
