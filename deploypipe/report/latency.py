"""The table of a real device: what each bundle costs there, and what of it can be told apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from deploypipe.bundle.manifest import Check
from deploypipe.profile.receipt import BundleFacts, DeviceReceipts, Receipt
from deploypipe.report import figures, names, standing
from deploypipe.report.standing import Measured, Standing, Timed
from deploypipe.report.tables import SAME, Cell, Group, Row, Table

if TYPE_CHECKING:
    from deploypipe.profile.statistics import Estimate, Summary

Labels = Mapping[str, str]
_Figure = tuple[str, Callable[["Summary"], "Estimate | None"], Callable[[float], str]]


def _plain_ms(value: float) -> str:
    return f"{figures.number(value)} ms"


def _plain_mb(value: float) -> str:
    return f"{figures.number(value)} MB"


_FIGURES: tuple[_Figure, ...] = (
    ("p90", lambda found: found.p90, figures.ms),
    ("p99", lambda found: found.p99, figures.ms),
    ("cold start", lambda found: found.cold_start_ms, _plain_ms),
    ("load", lambda found: found.load_ms, _plain_ms),
    ("first run", lambda found: found.first_ms, _plain_ms),
    ("peak memory", lambda found: found.peak_mb, _plain_mb),
)


def table(device: DeviceReceipts, timed: Timed, labels: Labels) -> Table:
    """Returns the table of a device."""
    models = timed.on(device)
    groups = tuple(Group(model, tuple(_rows(bundles, labels))) for model, bundles in models.items())
    columns = ("median", "against fastest", *(title for title, _, _ in _FIGURES), "artifact", "accuracy", "parity")
    return Table("bundle", columns, groups, tuple(_notes(models, labels))).without_empty_columns()


def _rows(bundles: Sequence[Measured], labels: Labels) -> Iterator[Row]:
    standings = standing.standings(bundles)
    columns = [_column(bundles, figure) for figure in _FIGURES]
    for at, each in enumerate(bundles):
        label, bundle = labels[each.name], each.receipt.bundle
        cells = (
            *_medians(each, standings[each.name]),
            *(column[at] for column in columns),
            artifact(bundle),
            accuracy(bundle),
            parity(each.receipt),
        )
        yield Row(label, cells, ", ".join(filter(None, (names.detail(bundle, label), _state(each)))))


def _medians(each: Measured, found: Standing) -> tuple[Cell, Cell]:
    median = _cell(each.summary.median, figures.ms, found.tone)
    if found.ratio is None:
        return median, Cell("fastest" if found.tone else figures.NONE, tone=found.tone)
    if found.tone == "same":
        return median, Cell(SAME, "no difference", "same", _interval(found.ratio, _times))
    return median, Cell(_times(found.ratio.value), figures.spread(found.ratio), "", _interval(found.ratio, _times))


def _times(ratio: float) -> str:
    return f"{ratio:.2f}×"


def _column(bundles: Sequence[Measured], figure: _Figure) -> list[Cell]:
    title, take, say = figure
    tones = standing.tones(bundles, take)
    return [
        Cell(title=each.summary.refused.get(title, "not known"))
        if (estimate := take(each.summary)) is None
        else _cell(estimate, say, tones.get(each.name, ""))
        for each in bundles
    ]


def _cell(estimate: Estimate, say: Callable[[float], str], tone: standing.Tone) -> Cell:
    return Cell(say(estimate.value), figures.spread(estimate), tone, _interval(estimate, say))


def _interval(estimate: Estimate, say: Callable[[float], str]) -> str:
    if not math.isfinite(estimate.high):
        return "no interval from one start"
    return f"95 % interval: {say(estimate.low)} to {say(estimate.high)}"


def artifact(bundle: BundleFacts) -> Cell:
    """Returns the size of its artifact, above that of the whole bundle."""
    return Cell(figures.megabytes(bundle.artifact_bytes), f"of {figures.megabytes(bundle.bundle_bytes)}")


def accuracy(bundle: BundleFacts) -> Cell:
    """Returns its first score, above what was lost against PyTorch."""
    if not bundle.scores:
        return Cell()
    name, score = next(iter(bundle.scores.items()))
    eager = bundle.eager_scores.get(name)
    unit = " %" if name == "accuracy" else ""
    return Cell(f"{score:.2f}{unit}", "" if eager is None else _lost(score - eager), title=name)


def _lost(points: float) -> str:
    return f"{figures.signed(points)} points" if abs(points) >= 0.005 else "as in PyTorch"


def parity(receipt: Receipt) -> Cell:
    """Returns the verdict on the device, above the comparison that came nearest to its limit."""
    if receipt.verdict is None:
        return Cell()
    passed, worst = receipt.verdict.passed, receipt.verdict.parity()
    return Cell("pass" if passed else "FAIL", _error(worst), "good" if passed else "bad", _said(worst))


def _error(check: Check | None) -> str:
    if check is None:
        return ""
    return f"{'not finite' if check.value is None else figures.tiny(check.value)} of {figures.tiny(check.limit)}"


def _said(check: Check | None) -> str:
    return "" if check is None else check.describe()


def _state(each: Measured) -> str:
    starts = figures.counted(len(each.receipt.starts), "start")
    return {"lost": f"lost after {starts}", "failed": f"failed after {starts}"}.get(each.receipt.status, "")


def _notes(models: Mapping[str, list[Measured]], labels: Labels) -> Iterator[str]:
    every = [each for bundles in models.values() for each in bundles]
    if not every:
        return
    yield "± is the further end of the 95 % interval. Bold: the best of its model. Grey: cannot be told apart from it."
    yield f"{_noise(models)} Medians that differ by less are not told apart."
    if any(each.summary.refused for each in every):
        yield _too_few()
    unsettled = sum(each.summary.unsettled for each in every)
    if unsettled:
        yield f"{figures.counted(unsettled, 'start')} had not settled when the samples began."
    yield from (f"{labels[each.name]}: {note}" for each in every for note in each.receipt.notes)


def _noise(models: Mapping[str, list[Measured]]) -> str:
    floors = ", ".join(f"{model} {_floor(bundles[0].floor)}" for model, bundles in models.items())
    return f"Noise, from a bundle that ran as two: {floors}."


def _floor(share: float) -> str:
    return figures.share(share) if math.isfinite(share) else "not known"


def _too_few() -> str:
    from deploypipe.profile import statistics

    p90, p99 = statistics.FLOORS[0.9], statistics.FLOORS[0.99]
    return f"{figures.NONE} in place of a percentile: too few runs; p90 needs {p90} of them, p99 {p99}."
