"""What is asked of a compressed model."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from deploypipe.target import Budgets, Target


class Goals(BaseModel):
    """The budgets of a search.

    Attributes:
        accuracy_drop: Points of the model's own score that may be lost against eager PyTorch.
        size_mb: Largest artifact, in units of 1e6 bytes; None leaves it open.
        p90_ms: Largest 90th percentile of one inference on the target's device, in milliseconds. None asks for
            no more than that nothing is slower than fp32.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    accuracy_drop: float = 0.5
    size_mb: float | None = None
    p90_ms: float | None = None

    @classmethod
    def of(cls, target: Target, drop: float | None, size_mb: float | None, p90_ms: float | None) -> Goals:
        """Returns what is given, and for the rest what the target says.

        Raises:
            DeployError: A time is asked for, and the target has no device here to measure it on.
        """
        size = target.budgets.size_mb if size_mb is None else size_mb
        p90 = target.budgets.p90_ms if p90_ms is None else p90_ms
        target.within(Budgets(size_mb=size, p90_ms=p90))
        lost = target.limits.accuracy_drop if drop is None else drop
        return cls(accuracy_drop=lost, size_mb=size, p90_ms=p90)

    def describe(self) -> str:
        """Returns them as one would say them."""
        size = f", at most {self.size_mb:g} MB" if self.size_mb is not None else ""
        time = f", p90 at most {self.p90_ms:g} ms" if self.p90_ms is not None else ""
        return f"at most {self.accuracy_drop:g} points lost{size}{time}"
