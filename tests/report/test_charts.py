"""The charts of the page."""

from __future__ import annotations

import json

from deploypipe.report import charts
from deploypipe.report.overview import Overview
from deploypipe.report.standing import Timed

from . import changed

ORT, AOTI, LITERT = "lltm/server/onnxruntime-fp32", "lltm/server/aotinductor-fp32", "lltm/mobile/litert-fp32-native"


def closer(overview: Overview, at: int = 0) -> tuple[charts.Closer, ...]:
    looks = charts.looks(overview.report, overview.labels)
    return charts.closer(overview.sections[at].device, overview.timed, looks)


def test_each_model_has_every_chart_that_there_are_samples_for(overview: Overview) -> None:
    every = [
        "How runs and starts vary",
        "Size, latency, accuracy",
        "Threads",
        "Batches",
        "Rest between runs",
        "Without rest",
    ]
    assert {each.model: [chart.title for chart in each.charts] for each in closer(overview)} == {
        "lltm": every,
        "gcwsnet": every,
        "mlp": every,
    }
    assert [chart.title for chart in closer(overview, 1)[-1].charts] == ["How runs and starts vary"]


def test_a_bundle_looks_the_same_on_every_device(overview: Overview) -> None:
    here, there = ({look.label: look for each in closer(overview, at)[:1] for look in each.legend} for at in (0, 1))
    assert there.items() <= here.items()


def test_only_what_nothing_beats_is_on_the_front() -> None:
    """aotinductor's artifact is larger than ONNX Runtime's; LiteRT's is smaller."""
    receipts = (changed.receipt(AOTI, 2e5), changed.receipt(ORT, 1e5), changed.receipt(LITERT, 1.5e5))
    report = changed.report(*receipts)
    [bundles] = Timed.of(report).on(report.devices[0]).values()
    assert [each.name for each in charts.undominated(bundles)] == [ORT, LITERT]


def test_figures_are_json_without_infinities_and_themes() -> None:
    overview = Overview.of(changed.report(changed.receipt(ORT, 1e5, starts=1), changed.receipt(LITERT, 1e5, starts=1)))
    for chart in closer(overview)[0].charts:
        assert "template" not in json.loads(json.dumps(chart.figure, allow_nan=False))["layout"]


def test_shares_of_the_time_fill_the_bar(overview: Overview) -> None:
    chart = charts.times(overview.sections[0].device, overview.labels)
    assert chart is not None
    for parts in zip(*(trace["x"] for trace in chart.figure["data"]), strict=True):
        assert round(sum(parts), 6) == 100


def test_without_profiles_there_is_no_chart_of_them() -> None:
    overview = Overview.of(changed.report(changed.receipt(ORT, 1e5)))
    assert charts.times(overview.sections[0].device, overview.labels) is None
