"""A bundle that proves itself on this machine and then answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import deploypipe
from deploypipe.bundle.manifest import Verdict
from deploypipe.errors import DeployError, first_line
from deploypipe.predict import batch_axis
from deploypipe.tensors import check_inputs, refuse_non_finite

from . import answers
from .answers import Answer
from .engine import Engine
from .errors import RefusedError
from .metrics import Metrics
from .requests import parse
from .waiting import Arrays, Batching

if TYPE_CHECKING:
    from deploypipe.bundle.load import Model
    from deploypipe.bundle.manifest import Manifest

_log = logging.getLogger("server")


@dataclass(frozen=True)
class Settings:
    """How a bundle is served.

    Attributes:
        bundle: The folder.
        sessions: Runs at the same time, each in a session of its own.
        batch_delay: Seconds that a request waits for others to run with; None runs each alone.
        max_body: Bytes of a request.
    """

    bundle: Path
    sessions: int = 1
    batch_delay: float | None = None
    max_body: int = 64 << 20


class Service:
    """A loaded bundle behind a queue.

    Args:
        settings: What to serve, and how.

    Raises:
        DeployError: The bundle is damaged or cannot run here.
    """

    def __init__(self, settings: Settings) -> None:
        models = [deploypipe.load(settings.bundle) for _ in range(settings.sessions)]
        self.settings = settings
        self.manifest: Manifest = models[0].manifest
        self.metadata = answers.metadata(self.manifest)
        self.metrics = Metrics(self.manifest.model)
        self.verdict: Verdict | None = None
        self._models = models
        self._engine = Engine(models, self.metrics, _batching(self.manifest, settings.batch_delay))

    @property
    def ready(self) -> bool:
        """The bundle has verified itself on this machine, and passed."""
        return self.verdict is not None and self.verdict.passed

    async def verify(self) -> None:
        """Lets every session verify itself; requests are refused until then, and for good where one fails."""
        verdicts = [await asyncio.to_thread(_verdict, model) for model in self._models]
        self.verdict = next((each for each in verdicts if not each.passed), verdicts[0])
        self.metrics.verdict.set(self.verdict.passed)
        for failure in self.verdict.failures:
            _log.error("The bundle is not what it was when it was built: %s", failure)

    def close(self) -> None:
        """Ends when everything that waits is answered."""
        self._engine.close()
        for model in self._models:
            model.close()

    def check_name(self, model: str, version: str) -> None:
        """Refuses models and versions that are not served.

        Raises:
            RefusedError: Another one was asked for.
        """
        if (model, version) != (self.manifest.model, answers.VERSION):
            known = f"{self.manifest.model}, version {answers.VERSION}"
            raise RefusedError(404, f"There is no model '{model}', version {version}", f"Served is {known}.")

    async def infer(self, body: bytes, header: str | None) -> Answer:
        """Answers an inference request.

        Args:
            body: Of the HTTP request.
            header: Length of the JSON at its beginning, where bytes follow it.

        Raises:
            RefusedError: It cannot be answered.
            DeployError: The inputs are not what the model takes.
        """
        self._refuse_unready()
        request, arrays = parse(body, header)
        asked = request.asked([info.name for info in self.manifest.outputs])
        self._check(arrays)
        outputs = await asyncio.wrap_future(self._engine.submit(arrays))
        return answers.answer(self.manifest.model, request, asked, outputs)

    def _check(self, arrays: Arrays) -> None:
        """Refuses an input here already, where it cannot spoil the requests that it would run with."""
        checked = check_inputs(self.manifest.inputs, self.manifest.axes, arrays)
        if self.manifest.finite_inputs:
            refuse_non_finite(self.manifest.inputs, checked)

    def _refuse_unready(self) -> None:
        if self.verdict is None:
            raise RefusedError(503, "The bundle is still verifying itself", "Wait until /v2/health/ready says 200.")
        if not self.verdict.passed:
            raise RefusedError(
                503,
                f"The bundle failed its verification on this machine: {self.verdict.failures[0]}",
                "Build it again for this machine.",
            )


def _verdict(model: Model) -> Verdict:
    try:
        return model.verify()
    except Exception as error:
        # Whatever the runtime says: a bundle that cannot be run has not passed.
        return Verdict(passed=False, failures=(first_line(error),))


def _batching(manifest: Manifest, delay: float | None) -> Batching | None:
    """Raises DeployError for a model that has no axis along which requests can be put together."""
    if delay is None:
        return None
    axis = batch_axis(manifest.inputs, manifest.outputs)
    shapes: list[Sequence[int | str]] = [info.shape[1:] for info in (*manifest.inputs, *manifest.outputs)]
    if axis is None or axis not in manifest.axes or any(axis in shape for shape in shapes):
        raise DeployError(f"{manifest.model} has no batch axis, so its requests run alone", "Leave --batch-ms out.")
    return Batching(manifest.axes[axis].max, delay)
