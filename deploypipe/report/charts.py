"""The charts of the page, as figures of plotly without colours of their theme, which the page adds."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from deploypipe.profile.receipt import DeviceReceipts, Point, Report, Sustained
from deploypipe.report import details, names
from deploypipe.report.standing import Measured, Timed

if TYPE_CHECKING:
    import plotly.graph_objects as go

# Told apart by most colour-blind people, on white and on black; shapes and dashes help on paper.
COLORS = ("#2f7fd1", "#e08a00", "#0a9f76", "#d5512e", "#b565c4", "#3fb0d9", "#8c8f22", "#c2577e", "#7a7f8a", "#8f6b4a")
SHAPES = (
    "circle",
    "square",
    "diamond",
    "triangle-up",
    "cross",
    "triangle-down",
    "star",
    "pentagon",
    "hexagon",
    "bowtie",
)
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
KINDS = {"custom": "#2f7fd1", "delegate": "#0a9f76", "builtin": "#e08a00", "runtime": "#7a7f8a"}
KIND_NAMES = {"custom": "custom ops", "delegate": "delegates", "builtin": "built in", "runtime": "runtime itself"}
_PLACES = ("top center", "bottom center")
_HEIGHT, _LINE, _FRAME = 250, 34, 64
# Percent that a chart of drift shows at least, and the windows that it compares with.
_LEAST_DRIFT, _FIRST = 10.0, 5
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Look:
    """How a bundle is drawn in every chart of its model."""

    label: str
    color: str
    shape: str
    dash: str

    @property
    def safe(self) -> str:
        """The label for plotly, which reads tags in texts."""
        return html.escape(self.label)


@dataclass(frozen=True)
class Chart:
    """A chart of the page.

    Attributes:
        title: Above it.
        note: How to read it.
        figure: For plotly.js.
    """

    title: str
    note: str
    figure: dict[str, Any]

    @property
    def height(self) -> int:
        """Pixels."""
        return int(self.figure["layout"]["height"])


@dataclass(frozen=True)
class Closer:
    """A closer look at one model on one device.

    Attributes:
        model: Its name.
        legend: Of all of its charts.
        charts: What there is to draw.
    """

    model: str
    legend: tuple[Look, ...]
    charts: tuple[Chart, ...]


def looks(report: Report, labels: Mapping[str, str]) -> dict[str, Look]:
    """Returns how each bundle is drawn: the same on every device."""
    return {
        bundle.name: Look(labels[bundle.name], *(each[at % len(each)] for each in (COLORS, SHAPES, DASHES)))
        for bundles in names.by_model(report).values()
        for at, bundle in enumerate(bundles)
    }


def closer(device: DeviceReceipts, timed: Timed, known: Mapping[str, Look]) -> tuple[Closer, ...]:
    """Returns the charts of a device, model by model."""
    return tuple(
        Closer(model, tuple(known[each.name] for each in bundles), tuple(_charts(bundles, known)))
        for model, bundles in timed.on(device).items()
    )


def _charts(bundles: Sequence[Measured], known: Mapping[str, Look]) -> Iterator[Chart]:
    yield _distribution(bundles, known)
    if len(bundles) > 1:
        yield _trade(bundles, known)
    for kind, draw in (("threads", _threads), ("batch", _batches), ("gap_ms", _gaps)):
        chosen = [each for each in bundles if _points(each, kind)]
        if chosen:
            yield draw(chosen, known)
    drifting = [each for each in bundles if each.receipt.sustained and each.receipt.sustained.windows]
    if drifting:
        yield _drift(drifting, known)


def _figure(traces: Sequence[Any], x: dict[str, Any], y: dict[str, Any], **layout: Any) -> dict[str, Any]:
    """What all charts share; the theme of plotly would be repeated in each."""
    import plotly.graph_objects as go

    whole = {
        "template": "none",
        "height": _HEIGHT,
        "margin": {"l": 8, "r": 12, "t": 8, "b": 40},
        "showlegend": False,
        "dragmode": False,
        "hoverlabel": {"namelength": -1},
        "xaxis": {"automargin": True, "fixedrange": True, "zeroline": False, **x},
        "yaxis": {"automargin": True, "fixedrange": True, "zeroline": False, **y},
    }
    figure = go.Figure(data=list(traces), layout=whole | layout).to_plotly_json()
    figure["layout"].pop("template", None)
    return dict(figure)


def _distribution(bundles: Sequence[Measured], known: Mapping[str, Look]) -> Chart:
    import plotly.graph_objects as go

    traces = [trace for each in reversed(bundles) for trace in _box(each, known[each.name], go)]
    height = max(_HEIGHT, _FRAME + _LINE * len(bundles))
    figure = _figure(traces, {"title": {"text": "% of its own median"}}, {"type": "category"}, height=height)
    note = "Box: the middle half of all runs; whiskers: 5 % to 95 %; marks: the median of each start."
    return Chart("How runs and starts vary", note, figure)


def _box(each: Measured, look: Look, go: Any) -> Iterator[Any]:
    import numpy as np

    starts = [100 * np.asarray(start.samples_ns) / each.median for start in each.receipt.starts if start.samples_ns]
    low, lower, middle, upper, high = ([float(q)] for q in np.quantile(np.concatenate(starts), _QUANTILES))
    yield go.Box(
        y=[look.safe],
        orientation="h",
        lowerfence=low,
        q1=lower,
        median=middle,
        q3=upper,
        upperfence=high,
        marker={"color": look.color},
        line={"width": 1.5},
        hoverinfo="x",
    )
    yield go.Scatter(
        x=[float(np.median(start)) for start in starts],
        y=[look.safe] * len(starts),
        mode="markers",
        marker={"color": look.color, "symbol": "line-ns-open", "size": 11, "line": {"width": 1.5}},
        hovertemplate=f"{look.safe}<br>one start: %{{x:.1f}} %<extra></extra>",
    )


def _trade(bundles: Sequence[Measured], known: Mapping[str, Look]) -> Chart:
    import plotly.graph_objects as go

    front = sorted(undominated(bundles), key=_megabytes)
    dots = {"width": 1, "dash": "dot", "color": KINDS["runtime"]}
    line = go.Scatter(
        x=[_megabytes(each) for each in front],
        y=[each.median / 1e6 for each in front],
        mode="lines",
        line=dots,
        hoverinfo="skip",
    )
    # Neighbours have their scores above and below, so that they do not cover each other.
    places = {each.name: _PLACES[at % 2] for at, each in enumerate(front)}
    bubbles = [_bubble(each, known[each.name], places.get(each.name, "")) for each in bundles]
    widest, slowest = max(map(_megabytes, bundles)), max(each.summary.median.value for each in bundles) / 1e6
    x = {"title": {"text": "artifact, MB"}, "range": [0, 1.15 * widest]}
    y = {"title": {"text": "median, ms"}, "range": [0, 1.2 * slowest]}
    note = "Filled, with its score: no other bundle is as small, as fast and as accurate."
    return Chart("Size, latency, accuracy", note, _figure([line, *bubbles], x, y))


def _megabytes(each: Measured) -> float:
    return each.receipt.bundle.artifact_bytes / 1e6


def _score(each: Measured) -> float | None:
    return next(iter(each.receipt.bundle.scores.values()), None)


def undominated(bundles: Sequence[Measured]) -> list[Measured]:
    """Returns those that no other one beats in size, median and score at once."""

    def costs(each: Measured) -> tuple[float, float, float]:
        return each.receipt.bundle.artifact_bytes, each.median, -(_score(each) or 0.0)

    def beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
        return one != other and all(a <= b for a, b in zip(one, other, strict=True))

    return [each for each in bundles if not any(beats(costs(other), costs(each)) for other in bundles)]


def _bubble(each: Measured, look: Look, place: str) -> go.Scatter:
    """Draws a bundle; one with a place for its score is not beaten by any other."""
    import plotly.graph_objects as go

    score = _score(each)
    return go.Scatter(
        x=[_megabytes(each)],
        y=[each.median / 1e6],
        error_y=_whiskers(each) | {"color": look.color, "thickness": 1.5},
        mode="markers+text",
        text=[f"{score:.4g}" if place and score is not None else ""],
        textposition=place or None,
        textfont={"size": 11},
        cliponaxis=False,
        marker={
            "color": look.color,
            "size": 11,
            "symbol": look.shape + ("" if place else "-open"),
            "line": {"width": 2, "color": look.color},
        },
        hovertemplate=f"{look.safe}<br>%{{x:.3g}} MB, %{{y:.4g}} ms<extra></extra>",
    )


def _whiskers(each: Measured) -> dict[str, Any]:
    median = each.summary.median
    if not math.isfinite(median.high):
        return {}
    return {"array": [(median.high - median.value) / 1e6], "arrayminus": [(median.value - median.low) / 1e6]}


def _points(each: Measured, kind: str) -> list[Point]:
    found = [point for point in each.receipt.points if point.kind == kind and point.samples_ns]
    return sorted(found, key=lambda point: point.value)


def _median_ms(point: Point) -> float:
    import numpy as np

    return float(np.median(point.samples_ns)) / 1e6


def _curves(bundles: Sequence[Measured], known: Mapping[str, Look], kind: str, per_item: bool = False) -> list[Any]:
    series = []
    for each in bundles:
        points = _points(each, kind)
        ys = [_median_ms(point) / (point.value if per_item else 1) for point in points]
        series.append(_line([point.value for point in points], ys, known[each.name], "lines+markers", "ms"))
    return series


def _line(
    xs: Sequence[float], ys: Sequence[float], look: Look, mode: Literal["lines", "lines+markers"], unit: str
) -> Any:
    import plotly.graph_objects as go

    return go.Scatter(
        x=list(xs),
        y=list(ys),
        mode=mode,
        cliponaxis=False,
        line={"color": look.color, "width": 1.75, "dash": look.dash},
        marker={"color": look.color, "symbol": look.shape, "size": 7},
        hovertemplate=f"{look.safe}<br>%{{x:g}}: %{{y:.4g}} {unit}<extra></extra>",
    )


def _settings(bundles: Sequence[Measured], kind: str) -> dict[str, Any]:
    """Shows on a logarithmic axis the settings that were measured, and no others."""
    values = sorted({point.value for each in bundles for point in _points(each, kind)})
    return {"type": "log", "tickvals": values, "ticktext": [f"{value:g}" for value in values]}


def _threads(bundles: Sequence[Measured], known: Mapping[str, Look]) -> Chart:
    figure = _figure(
        _curves(bundles, known, "threads"),
        {"title": {"text": "threads"}, **_settings(bundles, "threads")},
        {"title": {"text": "median, ms"}, "rangemode": "tozero"},
    )
    return Chart("Threads", "One process for each point.", figure)


def _batches(bundles: Sequence[Measured], known: Mapping[str, Look]) -> Chart:
    figure = _figure(
        _curves(bundles, known, "batch", per_item=True),
        {"title": {"text": "samples in a batch"}, **_settings(bundles, "batch")},
        {"title": {"text": "ms for one sample"}, "rangemode": "tozero"},
    )
    return Chart("Batches", "Time of a batch, divided by its samples.", figure)


def _gaps(bundles: Sequence[Measured], known: Mapping[str, Look]) -> Chart:
    figure = _figure(
        _curves(bundles, known, "gap_ms"),
        {"title": {"text": "rest between runs, ms"}, "rangemode": "tozero"},
        {"title": {"text": "median, ms"}, "rangemode": "tozero"},
    )
    return Chart("Rest between runs", "As in an app that waits for a frame: caches and clocks cool down.", figure)


def _drift(bundles: Sequence[Measured], known: Mapping[str, Look]) -> Chart:
    changes = {each.name: _changes(each.receipt.sustained) for each in bundles if each.receipt.sustained}
    traces = [
        _line([at for at, _ in points], [change for _, change in points], known[name], "lines", "%")
        for name, points in changes.items()
    ]
    seen = [change for points in changes.values() for _, change in points]
    span = [1.1 * min(-_LEAST_DRIFT, *seen), 1.1 * max(_LEAST_DRIFT, *seen)]
    figure = _figure(traces, {"title": {"text": "s"}}, {"title": {"text": "change, %"}, "range": span})
    note = "Median of each second of a run without rest, against its first seconds; what gets warm slows down."
    return Chart("Without rest", note, figure)


def _changes(found: Sustained) -> list[tuple[float, float]]:
    """Returns percents against the first windows, by their seconds."""
    import numpy as np

    base = float(np.median([window.median_ns for window in found.windows[:_FIRST]]))
    return [(window.at_s, 100 * (window.median_ns / base - 1)) for window in found.windows]


def times(device: DeviceReceipts, labels: Mapping[str, str]) -> Chart | None:
    """Returns the chart of what the time of each profiled bundle goes to, or None."""
    import plotly.graph_objects as go

    found = details.profiles(device, labels)
    if not found:
        return None
    parts = [details.shares(profile.found) for profile in reversed(found)]
    rows = [html.escape(profile.label) for profile in reversed(found)]
    traces = [
        go.Bar(
            y=rows,
            x=[100 * part[kind] / (sum(part.values()) or 1) for part in parts],
            name=KIND_NAMES[kind],
            orientation="h",
            marker={"color": color},
            hovertemplate=f"%{{y}}<br>{KIND_NAMES[kind]}: %{{x:.1f}} %<extra></extra>",
        )
        for kind, color in KINDS.items()
    ]
    figure = _figure(
        traces,
        {"title": {"text": "% of one inference"}, "range": [0, 100]},
        {"type": "category"},
        barmode="stack",
        bargap=0.35,
        height=_FRAME + 26 * len(rows),
    )
    return Chart("Where the time goes", "Share of one inference", figure)
