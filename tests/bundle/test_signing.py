"""Signatures: of a key, of the manifest and of every file; without one a bundle is refused where one is asked for."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import deploypipe
from deploypipe import environments
from deploypipe.bundle import archive, integrity, signing
from deploypipe.errors import DeployError

from .damage import edit, flip, ones

Cli = Callable[..., Any]


def pair(folder: Path, *, kind: str = "EC") -> tuple[Path, Path]:
    """Makes a private and a public key as a user does."""
    folder.mkdir()
    private, public = folder / "private.pem", folder / "public.pem"
    option = "ec_paramgen_curve:P-256" if kind == "EC" else "rsa_keygen_bits:2048"
    for words in (
        ["genpkey", "-algorithm", kind, "-pkeyopt", option, "-out", private],
        ["pkey", "-in", private, "-pubout", "-out", public],
    ):
        subprocess.run(["openssl", *words], check=True, capture_output=True)
    return private, public


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return pair(tmp_path_factory.mktemp("keys") / "mine")


@pytest.fixture(scope="module")
def signature(built_onnx: Path, keys: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The signature of the bundle of `onnx_bundle`, wherever that lies."""
    bundle = tmp_path_factory.mktemp("signed") / "bundle"
    archive.pack_zip(built_onnx, bundle.with_suffix(".zip"))
    with archive.opened(bundle.with_suffix(".zip")) as (folder, _):
        return signing.sign(folder, keys[0]).read_bytes()


@pytest.fixture
def signed(onnx_bundle: Path, signature: bytes) -> Path:
    (onnx_bundle / "model.sig").write_bytes(signature)
    return onnx_bundle


def test_a_signed_bundle_is_accepted_by_its_key_and_runs_as_before(signed: Path, keys: tuple[Path, Path]) -> None:
    signing.check(signed, keys[1])
    assert integrity.check(signed).model == "plain"
    assert deploypipe.load(signed)(ones(1, 4))[0].shape == (1, 3)


def test_a_signature_covers_every_file_but_itself(signature: bytes) -> None:
    payload = json.loads(base64.b64decode(json.loads(signature)["dsseEnvelope"]["payload"]))
    names = [each["name"] for each in payload["predicate"]["resources"]]
    assert names == ["golden.safetensors", "manifest.json", "model.onnx"]


def test_signing_again_takes_the_place_of_the_old_signature(signed: Path, tmp_path: Path) -> None:
    private, public = pair(tmp_path / "other")
    signing.sign(signed, private)
    signing.check(signed, public)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["onnx-bundle", "other"]


def test_another_key_is_refused(signed: Path, tmp_path: Path) -> None:
    with pytest.raises(DeployError, match=r"was signed with another key than .*public.pem\. Do not trust it"):
        signing.check(signed, pair(tmp_path / "other")[1])


def test_a_manifest_that_was_written_anew_is_refused(signed: Path, keys: tuple[Path, Path]) -> None:
    edit(signed, lambda table: table["limits"].update(normalized_error=1e3))
    integrity.check(signed)
    with pytest.raises(DeployError, match="is not what was signed: it was changed afterwards"):
        signing.check(signed, keys[1])


def test_an_unsigned_bundle_is_refused(onnx_bundle: Path, keys: tuple[Path, Path]) -> None:
    with pytest.raises(DeployError, match=r"is not signed: it has no model.sig\. Get the signed one"):
        signing.check(onnx_bundle, keys[1])


def test_a_signature_of_other_content_under_the_hint_of_the_key_is_refused(
    signed: Path, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    """The hint of the key is not signed: who takes another key may write the right hint."""
    right = json.loads((signed / "model.sig").read_text())
    signing.sign(signed, pair(tmp_path / "other")[0])
    forged = json.loads((signed / "model.sig").read_text()) | {"verificationMaterial": right["verificationMaterial"]}
    (signed / "model.sig").write_text(json.dumps(forged))
    with pytest.raises(DeployError, match=r"model.sig in .* is damaged"):
        signing.check(signed, keys[1])


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\x00"])
def test_a_damaged_signature_is_refused(signed: Path, keys: tuple[Path, Path], content: bytes) -> None:
    (signed / "model.sig").write_bytes(content)
    with pytest.raises(DeployError, match=r"model.sig in .* is damaged\. Do not trust it"):
        signing.check(signed, keys[1])


@pytest.mark.slow
def test_keys_that_do_not_sign(onnx_bundle: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "text.pem").write_text("no key")
    for key in (keys[1], pair(tmp_path / "rsa", kind="RSA")[0], tmp_path / "text.pem"):
        with pytest.raises(DeployError, match=r"is no private key on a NIST curve without a password\. Make a pair"):
            signing.sign(onnx_bundle, key)
    assert not (onnx_bundle / "model.sig").exists()


def test_keys_that_do_not_check(signed: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "text.pem").write_text("no key")
    for key in (keys[0], pair(tmp_path / "rsa", kind="RSA")[1], tmp_path / "text.pem"):
        with pytest.raises(DeployError, match=r"is no public key on a NIST curve\. Make a pair"):
            signing.check(signed, key)
    with pytest.raises(DeployError, match=r"There is no key .*nowhere\.pem"):
        signing.check(signed, tmp_path / "nowhere.pem")


def test_what_is_damaged_or_zipped_is_not_signed(onnx_bundle: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    archive.pack_zip(onnx_bundle, tmp_path / "bundle.zip")
    with pytest.raises(DeployError, match=r"bundle.zip is not a folder\. Sign the folder of the bundle, then zip it"):
        signing.sign(tmp_path / "bundle.zip", keys[0])
    flip(onnx_bundle / "model.onnx")
    with pytest.raises(DeployError, match="was changed"):
        signing.sign(onnx_bundle, keys[0])


def test_without_the_tool_the_cure_is_named(
    signed: Path, keys: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments, "find", lambda _: None)
    for act in (lambda: signing.sign(signed, keys[0]), lambda: signing.check(signed, keys[1])):
        with pytest.raises(DeployError, match="Run `deploypipe runtimes install model-signing`"):
            act()


@pytest.mark.slow
def test_the_command_line_signs_zips_and_verifies(
    cli: Cli, onnx_bundle: Path, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    private, public = keys
    assert "is not signed" in cli("verify", onnx_bundle, "--key", public, code=2).stderr
    assert "is signed" in cli("sign", onnx_bundle, "--key", private, code=0).stdout
    cli("zip", onnx_bundle, "bundle.zip", code=0)
    assert "pass bundle.zip" in cli("verify", "bundle.zip", "--key", public, code=0).stdout
    edit(onnx_bundle, lambda table: table.update(model="other"))
    done = cli("verify", "bundle.zip", onnx_bundle, "--key", public, "--json", code=2)
    assert [each["passed"] for each in json.loads(done.stdout).values()] == [True, False]
    assert "is not what was signed" in done.stderr


@pytest.mark.slow
def test_one_that_is_installed_is_probed_and_kept(cli: Cli) -> None:
    said = cli("runtimes", "install", "model-signing", code=0).stdout
    assert said.startswith("model-signing is there and works: model-signing 1.1.1, sigstore 4.4.0, cryptography ")
