"""What must hold in a fresh process."""

from __future__ import annotations

import subprocess
import sys


def _python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_listing_the_models_imports_nothing_heavy() -> None:
    heavy = "{'torch', 'numpy', 'sklearn', 'torchvision', 'safetensors'}"
    assert _python(f"import sys, deploypipe.zoo; print(sorted({heavy} & set(sys.modules)))") == "[]"


def test_torchvision_imports_beside_any_build_of_torch() -> None:
    code = "from deploypipe.zoo.vision import import_torchvision as tv; tv(); print(tv().__name__)"
    assert _python(code) == "torchvision"
