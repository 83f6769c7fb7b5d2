"""Which settings keep the budgets, which are the best of these, and why the others are not taken."""

from __future__ import annotations

from collections.abc import Sequence

from deploypipe.search.candidate import Measured
from deploypipe.search.goals import Goals


def reason_against(point: Measured, base: Measured, goals: Goals) -> str:
    """Returns why a setting is not taken, or an empty string.

    Args:
        point: The setting.
        base: fp32, the model as it was given.
        goals: The budgets.
    """
    if point.failure:
        return point.failure
    if point.drop > goals.accuracy_drop:
        return f"loses {point.drop:.2f} points, {goals.accuracy_drop:g} may be lost"
    if goals.size_mb is not None and point.size > goals.size_mb * 1e6:
        return f"takes {point.size / 1e6:.3g} MB, the budget is {goals.size_mb:g} MB"
    return _too_slow(point, goals) or _no_better(point, base)


def _too_slow(point: Measured, goals: Goals) -> str:
    speed = point.speed
    if speed is None:
        return ""
    if goals.p90_ms is None:
        return f"is {speed.describe()}" if speed.slower else ""
    if speed.p90_ms > goals.p90_ms:
        return f"has a p90 of {speed.p90_ms:.3g} ms, the budget is {goals.p90_ms:g} ms"
    return ""


def _no_better(point: Measured, base: Measured) -> str:
    """A setting that is neither smaller nor faster than the model as it was given has nothing for it."""
    faster = point.speed is not None and point.speed.faster
    if point.candidate == base.candidate or point.size < base.size or faster:
        return ""
    return f"takes {point.size / 1e3:.1f} kB, fp32 {base.size / 1e3:.1f} kB, and is no faster"


def allowed(points: Sequence[Measured], base: Measured, goals: Goals) -> list[Measured]:
    """Returns the settings that keep the budgets."""
    return [point for point in points if not reason_against(point, base, goals)]


def front(points: Sequence[Measured]) -> list[Measured]:
    """Returns the settings that no other one beats in size, points lost and time together.

    The smallest comes first; of two of one size the one that loses less, then the faster one.
    """
    costs = [_costs(point) for point in points]
    best = [point for point, cost in zip(points, costs, strict=True) if not any(_beats(each, cost) for each in costs)]
    unique = {_costs(point): point for point in reversed(best)}
    return sorted(unique.values(), key=_costs)


def chosen(points: Sequence[Measured]) -> Measured | None:
    """Returns the smallest of the settings; of two of one size the one that loses less, then the faster one."""
    return min(points, key=_costs, default=None)


def _costs(point: Measured) -> tuple[float, ...]:
    return (point.size, round(point.drop, 6), point.speed.cost if point.speed else 1.0)


def _beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
