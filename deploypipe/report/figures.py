"""Numbers as people read them: three digits, a unit, and how sure they are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deploypipe.profile.statistics import Estimate

NONE = "–"
_DIGITS = 3
_HOUR, _MINUTE = 3600, 60


def number(value: float) -> str:
    """Returns a number with three digits that count, and no exponent: `0.0293`, `12.4`, `1,240`."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    _, _, exponent = f"{value:.{_DIGITS - 1}e}".partition("e")
    return f"{value:,.{max(0, _DIGITS - 1 - int(exponent))}f}"


def ms(ns: float) -> str:
    """Returns nanoseconds in milliseconds: `0.0293 ms`."""
    return f"{number(ns / 1e6)} ms"


def share(part: float) -> str:
    """Returns a share in percent: `12 %`, `1.2 %`, `<0.1 %`."""
    percent = 100 * part
    if 0 < percent < 0.1:
        return "<0.1 %"
    return f"{percent:.0f} %" if percent >= 9.95 or percent == 0 else f"{percent:.1f} %"


def spread(estimate: Estimate) -> str:
    """Returns the further end of an interval, as a share of the value: `±2.1 %`; nothing where it has no end."""
    if not estimate.value or not math.isfinite(estimate.high):
        return ""
    furthest = max(estimate.high - estimate.value, estimate.value - estimate.low) / abs(estimate.value)
    return f"±{share(furthest)}" if furthest <= 1 else "±>100 %"


def signed(value: float) -> str:
    """Returns a difference with two decimals and its sign: `−0.28`, `+1.10`."""
    return f"{value:+.2f}".replace("-", "−")


def megabytes(count: float) -> str:
    """Returns bytes in MB of 1,000,000 bytes, or kB where they are few: `1.24 MB`, `112 kB`."""
    return f"{number(count / 1e6)} MB" if count >= 1e6 else f"{number(count / 1e3)} kB"


def tiny(value: float) -> str:
    """Returns an error with two digits: `3.5e-07`, `0.012`."""
    return f"{value:.2g}"


def duration(seconds: float) -> str:
    """Returns seconds as one would say them: `96 s`, `6 min 52 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole >= _HOUR:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
    return f"{whole // _MINUTE} min {whole % _MINUTE} s" if whole >= 2 * _MINUTE else f"{whole} s"


def counted(count: int, thing: str) -> str:
    """Returns a count with its noun: `1 bundle`, `2 bundles`."""
    return f"{count:,} {thing}" + ("" if count == 1 else "s")
