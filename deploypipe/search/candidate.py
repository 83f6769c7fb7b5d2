"""One setting of the search, and what was measured of it."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict

from deploypipe.compress.recipe import Pruning
from deploypipe.layers import LayerState

# A ratio that is not worth to be told from 1.
TOLERATED = 1.05


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Candidate(_Frozen):
    """A setting.

    Attributes:
        precision: Of the artifact.
        kept_float: Groups of layers that stay float in it, by name.
        pruning: What is done to the model before; None leaves it.
    """

    precision: str = "fp32"
    kept_float: tuple[str, ...] = ()
    pruning: Pruning | None = None

    @property
    def label(self) -> str:
        """How it is called in tables: `int8-static, head float, channels 0.5`."""
        kept = f"{' '.join(self.kept_float)} float" if self.kept_float else ""
        return ", ".join(filter(None, (self.precision, kept, self.pruning.label if self.pruning else "")))


class Speed(_Frozen):
    """The time of an inference, against that of fp32 in the same run.

    Attributes:
        p50_ms: Median.
        p90_ms: 90th percentile; the slowest run, where there were too few to tell.
        ratio: Time over that of fp32, which is 1 for itself.
        low: Lower end of the 95 % interval of the ratio.
        high: Upper end.
    """

    p50_ms: float
    p90_ms: float
    ratio: float = 1.0
    low: float = 1.0
    high: float = 1.0

    @property
    def slower(self) -> bool:
        """Whether it is beyond doubt slower, by more than is worth a larger file."""
        return self.low > TOLERATED

    @property
    def faster(self) -> bool:
        """Whether it is beyond doubt faster."""
        return self.high < 1

    @property
    def cost(self) -> float:
        """The ratio, or 1 where it is neither slower nor faster."""
        return self.ratio if self.slower or self.faster else 1.0

    def describe(self) -> str:
        """Returns the ratio in words: `1.40x slower here (95 %: 1.30 to 1.50)`."""
        if self.faster:
            return f"{1 / self.ratio:.2f}x faster here (95 %: {1 / self.high:.2f} to {1 / self.low:.2f})"
        interval = f"(95 %: {self.low:.2f} to {self.high:.2f})"
        return f"{self.ratio:.2f}x slower here {interval}" if self.slower else f"about as fast as fp32 {interval}"


class Measured(_Frozen):
    """What became of a setting.

    Attributes:
        candidate: The setting.
        failure: Why there is no verified bundle, or an empty string.
        size: Bytes of the artifact.
        scores: The model's scores in the target's runtime.
        drop: The largest number of points lost of a score of the model as it was given.
        layers: What became of each layer.
        bundle: Where the verified bundle lies.
        seconds: How long it took.
        speed: None where the target has no device here, or nothing was verified.
    """

    candidate: Candidate
    failure: str = ""
    size: int = 0
    scores: dict[str, float] = {}
    drop: float = 0.0
    layers: tuple[LayerState, ...] = ()
    bundle: str = ""
    seconds: float = 0.0
    speed: Speed | None = None

    def timed(self, speed: Speed | None) -> Self:
        """Returns it with a time."""
        return self.model_copy(update={"speed": speed})
