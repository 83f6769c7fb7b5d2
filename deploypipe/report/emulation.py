"""The table of an emulated device: instructions and outputs, never a latency."""

from __future__ import annotations

from collections.abc import Mapping

from deploypipe.profile.receipt import DeviceReceipts, Instructions, Receipt
from deploypipe.report import figures, latency, names
from deploypipe.report.tables import Cell, Group, Row, Table

COLUMNS = ("instructions per inference", "instructions to load", "artifact", "accuracy", "parity")
_NOTE = (
    "Instructions of one thread, counted by the emulator: the same in every run of a build, so what changes them is a "
    "change. They are no latency, since caches, memory and pipelines do not count; the times of an emulator mean "
    "nothing and are not shown."
)


def table(device: DeviceReceipts, labels: Mapping[str, str]) -> Table:
    """Returns the table of a device."""
    counted = [receipt for receipt in device.receipts if receipt.status == "measured"]
    models = dict.fromkeys(receipt.bundle.model for receipt in counted)
    groups = tuple(
        Group(model, tuple(_row(receipt, labels) for receipt in counted if receipt.bundle.model == model))
        for model in models
    )
    return Table("bundle", COLUMNS, groups, (_NOTE,)).without_empty_columns()


def _row(receipt: Receipt, labels: Mapping[str, str]) -> Row:
    bundle = receipt.bundle
    each, load = _instructions(receipt.instructions)
    cells = (each, load, latency.artifact(bundle), latency.accuracy(bundle), latency.parity(receipt))
    return Row(labels[bundle.name], cells, names.detail(bundle, labels[bundle.name]))


def _instructions(found: Instructions | None) -> tuple[Cell, Cell]:
    if found is None or not found.per_inference:
        return Cell(), Cell()
    import statistics

    load = Cell() if found.load is None else Cell(f"{found.load:,}")
    return Cell(f"{round(statistics.median(found.per_inference)):,}", _agreement(found.per_inference)), load


def _agreement(runs: tuple[int, ...]) -> str:
    apart = max(runs) - min(runs)
    said = figures.counted(len(runs), "run")
    return f"{said} within {apart:,}" if apart else f"equal in {said}"
