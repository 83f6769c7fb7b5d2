"""Receipts with one thing changed, for tests that are about that thing."""

from __future__ import annotations

from typing import Any

from deploypipe.profile.receipt import DeviceReceipts, Protocol, Receipt, Report, Start
from deploypipe.target import Budgets

from . import synthetic


def start(number: int, ns: float, count: int = 100) -> Start:
    """A start whose every run takes as long."""
    samples = (int(ns),) * count
    return Start(round=number, load_ms=40, first_ns=int(8 * ns), warm_up=10, settled=True, samples_ns=samples)


def receipt(name: str, ns: float, *, spread: float = 0.01, starts: int = 10, count: int = 100, **more: Any) -> Receipt:
    """A receipt of a bundle of the synthetic report, whose starts lie evenly within a share about a time."""
    kind = next(kind for kind in synthetic.KINDS if kind.name == name)
    bundle = synthetic.facts(kind).model_copy(update={"budgets": more.pop("budgets", Budgets())})
    levels = [ns * (1 + spread * (2 * at / max(1, starts - 1) - 1)) for at in range(starts)]
    every = tuple(start(at, level, count) for at, level in enumerate(levels))
    return Receipt(bundle=bundle, status=more.pop("status", "measured"), starts=every, **more)


def report(*receipts: Receipt, **device: Any) -> Report:
    """A report of one device."""
    devices = (DeviceReceipts(name="local", transport="local", receipts=receipts, **device),)
    return Report(deploypipe="0.1.0", created="2026-11-27T02:08:00Z", protocol=Protocol(), devices=devices)
