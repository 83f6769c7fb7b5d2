"""`sign`: a signature for a bundle that is there."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape

from deploypipe.cli import view


def sign(path: Path, key: Path) -> None:
    """Signs a bundle; on an error a signature that is there stays."""
    from deploypipe.bundle import signing

    signature = signing.sign(path, key)
    view.out().print(escape(f"{path} is signed: {signature}"), soft_wrap=True)
