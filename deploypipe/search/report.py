"""What a search found, as it is printed and as it is written beside the bundles."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from deploypipe.layers import LayerState
from deploypipe.search.candidate import Measured
from deploypipe.search.goals import Goals
from deploypipe.search.sensitivity import Sensitivity

FILE = "compression.json"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Rejection(_Strict):
    """A setting that was not taken.

    Attributes:
        setting: Its label.
        reason: Why, in words that follow it: `is 1.4x slower here`.
    """

    setting: str
    reason: str


class ArtifactReport(_Strict):
    """What was found for one artifact of a target.

    Attributes:
        artifact: Runtime and form.
        goals: What was asked for.
        base: fp32.
        front: The settings within the budgets that no other one beats, smallest first.
        chosen: The one that was delivered; None where nothing keeps the budgets.
        rejected: The settings that were not taken, and why.
        stayed_float: The layers that stayed float in the chosen one.
        trials: Every setting that was measured.
        folder: Where the chosen one was delivered, or an empty string.
    """

    artifact: str
    goals: Goals
    base: Measured
    front: tuple[Measured, ...]
    chosen: Measured | None
    rejected: tuple[Rejection, ...]
    stayed_float: tuple[LayerState, ...]
    trials: tuple[Measured, ...]
    folder: str = ""


class Report(_Strict):
    """What was found for a model on a target.

    Attributes:
        model: Its name.
        target: Its name.
        sensitivity: Of each group of layers, the most sensitive first.
        artifacts: One for each artifact of the target.
    """

    model: str
    target: str
    sensitivity: tuple[Sensitivity, ...]
    artifacts: tuple[ArtifactReport, ...]

    def write(self, folder: Path) -> Path:
        """Writes it as JSON into the folder of the target's bundles."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / FILE
        path.write_text(self.model_dump_json(indent=1) + "\n")
        return path
