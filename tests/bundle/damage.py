"""Ways to damage a bundle, with and without hiding it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from deploypipe.bundle import integrity

GOLDEN = "golden.safetensors"


def edit(bundle: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Changes the manifest."""
    path = bundle / "manifest.json"
    table = json.loads(path.read_text())
    change(table)
    path.write_text(json.dumps(table))


def mend(bundle: Path) -> None:
    """Lets the manifest list the files as they are now, so that no digest gives a change away."""
    files, sizes = integrity.listing(bundle)
    edit(bundle, lambda table: table.update(files=files, sizes=sizes))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def change_golden(bundle: Path) -> None:
    """Lets the golden vectors expect something else."""
    tensors = load_file(bundle / GOLDEN)
    save_file({name: array + (".outputs." in name) for name, array in tensors.items()}, bundle / GOLDEN)


def library(bundle: Path) -> Path:
    return next((bundle / "lib").iterdir())


def other_abi(bundle: Path) -> None:
    """Says that the op library was built for a version that nobody has."""
    edit(bundle, lambda table: [op["abi"].update(dict.fromkeys(op["abi"], "99.1")) for op in table["ops"]])


def ones(*shape: int) -> np.ndarray[Any, Any]:
    return np.ones(shape, "float32")
