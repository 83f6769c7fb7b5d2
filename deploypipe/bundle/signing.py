"""Signatures of bundles, made and checked by OpenSSF's model-signing with a pair of keys, without a network.

It asks for newer packages than the runtimes do, so it lives in an environment of its own, and is run by its command.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from deploypipe import environments
from deploypipe.bundle import integrity
from deploypipe.bundle.manifest import SIGNATURE
from deploypipe.environments import Environment
from deploypipe.errors import DeployError

NAME = "model-signing"
NEW_PAIR = (
    "Make a pair: `openssl ecparam -name prime256v1 -genkey -noout -out private.pem` and "
    "`openssl ec -in private.pem -pubout -out public.pem`."
)
_ERROR = "with error: "
_PAIR = """
import importlib.metadata, json, pathlib, platform, sys
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ec
key, folder = ec.generate_private_key(ec.SECP256R1()), pathlib.Path(sys.argv[1])
plain = (form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
(folder / "private.pem").write_bytes(key.private_bytes(*plain))
public = (form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
(folder / "public.pem").write_bytes(key.public_key().public_bytes(*public))
versions = {name: importlib.metadata.version(name) for name in ("model-signing", "sigstore", "cryptography")}
print(json.dumps(versions | {"python": platform.python_version()}))
"""


def sign(bundle: Path, key: Path) -> Path:
    """Signs the manifest and all files of a bundle; the signature takes the place of one that is there.

    Args:
        bundle: Its folder.
        key: A private key on a NIST curve in PEM form, without a password.

    Returns:
        The signature, a file of the bundle.

    Raises:
        DeployError: The bundle is damaged, model-signing is not installed, the key cannot be used, or the
            bundle cannot be written.
    """
    if bundle.is_file():
        raise DeployError(f"{bundle} is not a folder", "Sign the folder of the bundle, then zip it.")
    integrity.check(bundle)
    python, place = _python(), bundle.resolve() / SIGNATURE
    _check_key(key)
    try:
        with tempfile.TemporaryDirectory(prefix=".staging-", dir=place.parent.parent) as staging:
            made = Path(staging) / SIGNATURE
            told = _sign(python, place.parent, key, made)
            if told is not None:
                raise _unsigned(told, bundle, key)
            made.replace(place)
    except OSError as error:
        raise DeployError(f"{bundle} cannot be signed: {error.strerror}", "Sign a copy that can be written.") from None
    return bundle / SIGNATURE


def check(bundle: Path, key: Path) -> None:
    """Checks that a bundle is what the owner of a key signed.

    Args:
        bundle: Its folder; what its manifest says of its files has been checked.
        key: The public key, in PEM form.

    Raises:
        DeployError: It is not signed, was signed with another key, or is not what was signed; or
            model-signing is not installed.
    """
    if not (bundle / SIGNATURE).is_file():
        raise DeployError(f"{bundle} is not signed: it has no {SIGNATURE}", "Get the signed one, or leave out the key.")
    python = _python()
    _check_key(key)
    told = _verify(python, bundle, key, bundle / SIGNATURE)
    if told is not None:
        raise _refusal(told, bundle, key)


def _unsigned(told: str, bundle: Path, key: Path) -> DeployError:
    if _of_key(told):
        return DeployError(f"{key} is no private key on a NIST curve without a password", NEW_PAIR)
    return DeployError(f"{bundle} cannot be signed: {told}", "Mend what it names.")


def _refusal(told: str, bundle: Path, key: Path) -> DeployError:
    if told.startswith("Key mismatch"):
        return DeployError(f"{bundle} was signed with another key than {key}", "Do not trust it.")
    if told.startswith("Signature mismatch"):
        return DeployError(f"{bundle} is not what was signed: it was changed afterwards", "Do not trust it.")
    if _of_key(told):
        return DeployError(f"{key} is no public key on a NIST curve", NEW_PAIR)
    return DeployError(f"{SIGNATURE} in {bundle} is damaged", "Do not trust it.")


def _of_key(told: str) -> bool:
    return any(sign in told for sign in ("PEM", "curve", "Password"))


def _check_key(key: Path) -> None:
    if not key.is_file():
        raise DeployError(f"There is no key {key}", NEW_PAIR)


def _python() -> Path:
    found = environments.find(ENVIRONMENT)
    if found is None:
        raise DeployError(f"{NAME} is not installed", environments.cure(ENVIRONMENT))
    return found.python


def _sign(python: Path, bundle: Path, key: Path, signature: Path) -> str | None:
    """Signs all of a folder but the signature that is in it; returns what went wrong, or None."""
    old = str(bundle / SIGNATURE)
    return _run(python, "sign", "key", "--private_key", key, "--signature", signature, "--ignore-paths", old, bundle)


def _verify(python: Path, bundle: Path, key: Path, signature: Path) -> str | None:
    return _run(python, "verify", "key", "--public_key", key, "--signature", signature, bundle)


def _run(python: Path, action: str, means: str, *words: str | Path) -> str | None:
    command = [python, "-I", "-m", "model_signing", action, means, "--no-ignore-git-paths", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode == 0:
        return None
    return done.stderr.partition(_ERROR)[2].strip().rstrip(".") or "it gives no reason"


def _probe(python: Path) -> Mapping[str, str]:
    """Signs a file with a new pair of keys, and checks the signature."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "bundle").mkdir()
        (folder / "bundle" / "file").write_text("content")
        made = subprocess.run([python, "-I", "-c", _PAIR, name], capture_output=True, text=True, check=False)
        signature = folder / SIGNATURE
        told = (
            (made.stderr.strip() if made.returncode else None)
            or _sign(python, folder / "bundle", folder / "private.pem", signature)
            or _verify(python, folder / "bundle", folder / "public.pem", signature)
        )
        if told is not None:
            raise DeployError(f"{NAME} does not work here: {told}", "Run `deploypipe runtimes install` again.")
    versions: dict[str, str] = json.loads(made.stdout)
    return versions


# sigstore 4.5 lets go of pyOpenSSL, which model-signing 1.1.1 imports without asking for it.
ENVIRONMENT = Environment(NAME, ("model-signing==1.1.1", "sigstore==4.4.0"), _probe)
