"""A model with a layer of every kind, for the tests of the runtimes inside libtorch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from deploypipe import runtimes
from deploypipe.capture import Program, capture, resolve
from deploypipe.layers import LayerState
from deploypipe.ops import CWS, LLTM
from deploypipe.parity import normalized_error
from deploypipe.runtimes.protocol import Form, Lowered, Runtime, Session
from deploypipe.spec import ModelSpec

KEPT = "middle.kept"


class Mixed(nn.Module):
    """A convolution, a recurrent layer, hashes of what a layer computes, a table for the hashes, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 8, 3, padding=1)
        self.lltm = LLTM(8, 128)
        self.before = nn.Linear(64, 32)
        self.cws = CWS(32, 16)
        self.table = nn.Embedding(33, 256)
        self.middle = nn.Sequential()
        self.middle.first = nn.Linear(512, 256)
        self.middle.kept = nn.Linear(256, 128)
        self.head = nn.Linear(512, 64)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Takes image float32[B,1,8,8], returns logits float32[B,64] and hashes int64[B,16]."""
        shapes = self.middle(torch.relu(self.convolution(image)).flatten(1))
        _, (rows, _) = self.lltm(image.permute(2, 0, 1, 3).flatten(2))
        index, _ = self.cws(torch.relu(self.before(image.flatten(1))))
        return self.head(torch.cat([shapes, rows, self.table(index).sum(1)], dim=1)), index


def program(folder: Path, runtime: Runtime, form: Form, module: nn.Module | None = None) -> Program:
    """Captures a model, `Mixed` unless told otherwise, as it is captured for a form."""
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    module = (module or Mixed()).eval()
    images = torch.rand(32, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    spec = resolve(ModelSpec("mixed", module, (images[:2],), ["image"], calibration=[(images,)]))
    prepare = None if form.precision == "fp32" else lambda given: runtime.prepare(given, form)
    capture(spec, None, folder, prepare)
    return Program.load(spec, folder, None, prepare)


class Made:
    """An artifact of `Mixed`, loaded."""

    def __init__(self, folder: Path, name: str, precision: str, *kept: str) -> None:
        self.precision = precision
        runtime, form = runtimes.get(name), Form(precision=precision, kept_float=kept)
        captured = program(folder / "program", runtime, form)
        self.file = folder / runtime.ARTIFACT
        self.lowered: Lowered = runtime.lower(captured, form, self.file)
        self.session: Session = runtime.load(self.file, [])
        self.program = captured

    @property
    def precisions(self) -> dict[str, str]:
        return {layer.name: layer.precision for layer in self.lowered.layers}

    def layer(self, name: str) -> LayerState:
        return next(layer for layer in self.lowered.layers if layer.name == name)

    def check_answers(self, limit: float) -> None:
        """Compares with the model itself, at sizes of the batch that no one showed it."""
        for batch in (1, 3, 64):
            image = torch.rand(batch, 1, 8, 8, generator=torch.Generator().manual_seed(batch))
            with torch.no_grad():
                logits, index = self.program.spec.module(image)
            given = self.session.run([image.numpy()])
            assert [each.dtype for each in given] == [np.float32, np.int64]
            assert normalized_error(given[0], logits.numpy()) < limit
            np.testing.assert_array_equal(given[1], index.numpy())
