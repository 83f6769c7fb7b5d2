"""A user's file with models, good and bad."""

from __future__ import annotations

from pathlib import Path

import pytest

MODELS = """
import torch
from deploypipe import ModelSpec

OFFSET = 0.0


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 3)

    def forward(self, x):
        return self.layer(x) + OFFSET


def spec(module, name="mine", **fields):
    return ModelSpec(name, module, (torch.randn(2, 4),), input_names=["x"], output_names=["y"], **fields)


def model():
    torch.manual_seed(0)
    return spec(Net())


def score(predict):
    (y,) = predict(torch.ones(300, 4).numpy())
    return float(100 * (y.shape == (300, 3)))


def scored():
    torch.manual_seed(0)
    return spec(Net(), "scored", evaluate=score)


def broken():
    class Broken(torch.nn.Module):
        def forward(self, x):
            return x @ torch.ones(5, 5)

    return spec(Broken())


def nothing():
    return None


def asks():
    from deploypipe.errors import DeployError

    raise DeployError("The weights are not there", "Download them.")


def leaves():
    raise SystemExit(0)


def wrong():
    class Traced(Net):
        def forward(self, x):
            return super().forward(x) + (1 if torch.jit.is_tracing() else 0)

    return spec(Traced(), "wrong")


calls = []


def drops(predict):
    calls.append(1)
    return 90.0 - len(calls)


def worse():
    return spec(Net(), "worse", evaluate=drops)


def slow():
    class Slow(Net):
        def forward(self, x):
            import time
            from pathlib import Path

            if torch.jit.is_tracing():
                Path("tracing").touch()
                time.sleep(600)
            return super().forward(x)

    return spec(Slow(), "slow")
"""


@pytest.fixture
def home(tmp_path: Path, cli: object) -> Path:
    """The folder in which the command line runs, with `my.py` in it."""
    folder = tmp_path / "work"
    (folder / "my.py").write_text(MODELS)
    return folder
