"""A yes, or a sentence that says why not and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Availability:
    """Whether something can be used here.

    Attributes:
        ok: True when it can.
        reason: Empty when it can; otherwise why not, with the cure.
    """

    ok: bool
    reason: str = ""
