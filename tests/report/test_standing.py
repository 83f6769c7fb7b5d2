"""What is the fastest, what cannot be told apart from it, and what is slower."""

from __future__ import annotations

from deploypipe.bundle.manifest import Verdict
from deploypipe.profile.receipt import Receipt
from deploypipe.report import standing
from deploypipe.report.standing import Measured, Timed

from . import changed

ORT, INT8, LITERT = (
    "lltm/server/onnxruntime-fp32",
    "lltm/laptop/onnxruntime-int8-dynamic",
    "lltm/mobile/litert-fp32-native",
)
WRONG = Verdict(passed=False, failures=("logits differ",))


def timed(*receipts: Receipt) -> list[Measured]:
    report = changed.report(*receipts)
    return Timed.of(report).on(report.devices[0])["lltm"]


def noisy(name: str, ns: float, noise: float) -> Receipt:
    """A receipt whose twin is slower by a share."""
    return changed.receipt(name, ns, twin=changed.receipt(name, ns * (1 + noise)).starts)


def test_a_bundle_that_is_slower_in_every_round_is_slower() -> None:
    found = standing.standings(timed(noisy(ORT, 1e5, 0.005), changed.receipt(INT8, 1.1e5)))
    assert found[ORT].tone == "best"
    assert found[INT8].tone == ""
    assert found[INT8].ratio is not None
    assert round(found[INT8].ratio.value, 3) == 1.1


def test_a_difference_below_the_noise_of_the_model_is_not_told_apart() -> None:
    found = standing.standings(timed(noisy(ORT, 1e5, 0.05), changed.receipt(INT8, 1.03e5)))
    assert found[INT8].tone == "same"


def test_one_round_tells_nothing() -> None:
    found = standing.standings(timed(changed.receipt(ORT, 1e5), changed.receipt(INT8, 2e5, starts=1)))
    assert found[INT8].tone == "same"


def test_wrong_outputs_are_never_the_fastest() -> None:
    bundles = timed(changed.receipt(ORT, 1e5), changed.receipt(INT8, 5e4, verdict=WRONG))
    assert standing.standings(bundles)[ORT].tone == "best"
    assert standing.tones(bundles, lambda found: found.p90) == {}


def test_other_figures_are_compared_by_their_intervals() -> None:
    bundles = timed(changed.receipt(ORT, 1e5), changed.receipt(INT8, 1.005e5), changed.receipt(LITERT, 2e5))
    assert standing.tones(bundles, lambda found: found.p90) == {ORT: "best", INT8: "same", LITERT: ""}


def test_a_figure_that_nobody_has_has_no_best() -> None:
    assert standing.tones(timed(changed.receipt(ORT, 1e5)), lambda found: found.peak_mb) == {}


def test_receipts_without_samples_are_not_timed() -> None:
    report = changed.report(changed.receipt(ORT, 1e5, starts=0, status="lost"))
    assert Timed.of(report).on(report.devices[0]) == {}
