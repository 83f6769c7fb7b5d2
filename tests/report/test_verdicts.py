"""The verdict of a report: what was asked, and whether it holds."""

from __future__ import annotations

import pytest

from deploypipe.bundle.manifest import Verdict
from deploypipe.profile.receipt import Receipt
from deploypipe.report.overview import Overview
from deploypipe.report.verdicts import Answer
from deploypipe.target import Budgets

from . import changed

ORT, LITERT = "lltm/server/onnxruntime-fp32", "lltm/mobile/litert-fp32-native"


def answer(*receipts: Receipt) -> Answer:
    return Overview.of(changed.report(*receipts)).answer


@pytest.mark.parametrize(
    ("limit", "outcome", "said"),
    [
        (0.5, "kept", "Its p90 is 0.100 ms ±0.6 %, within its budget of 0.5 ms."),
        (0.05, "missed", "Its p90 is 0.100 ms ±0.6 %, over its budget of 0.05 ms."),
        (0.1, "undecided", "Its p90 is 0.100 ms ±0.6 %; its budget of 0.1 ms lies within that interval."),
    ],
)
def test_the_interval_of_the_p90_decides(limit: float, outcome: str, said: str) -> None:
    [finding] = answer(changed.receipt(ORT, 1e5, budgets=Budgets(p90_ms=limit))).findings
    assert (finding.outcome, finding.sentence) == (outcome, said)


def test_too_few_samples_decide_nothing() -> None:
    [finding] = answer(changed.receipt(ORT, 1e5, count=5, budgets=Budgets(p90_ms=9))).findings
    assert finding.outcome == "undecided"
    assert finding.sentence == "Its budget is a p90 of 9 ms, which is not known: it takes 64 samples, and there are 50."


@pytest.mark.parametrize(("limit", "outcome"), [(0.5, "kept"), (0.4, "missed")])
def test_the_size_is_judged_once_for_all_devices(limit: float, outcome: str) -> None:
    report = changed.report(changed.receipt(ORT, 1e5, budgets=Budgets(size_mb=limit)))
    twice = report.model_copy(
        update={"devices": (*report.devices, report.devices[0].model_copy(update={"name": "pi5"}))}
    )
    [finding] = Overview.of(twice).answer.findings
    assert (finding.outcome, finding.device) == (outcome, "")
    assert finding.sentence.startswith("Its artifact has 403 kB,")


def test_wrong_outputs_fail() -> None:
    wrong = Verdict(passed=False, failures=("logits: normalized_error 0.07, limit 0.05 (native, batch=5)",))
    found = answer(changed.receipt(ORT, 1e5, verdict=wrong))
    assert found.outcome == "missed"
    assert found.headline == "1 of 1 check failed"
    assert found.findings[0].sentence.endswith("limit 0.05 (native, batch=5)")


def test_what_failed_is_missed_what_was_lost_is_undecided_and_what_was_declined_was_not_asked() -> None:
    statuses = ("failed", "lost", "declined")
    receipts = [changed.receipt(ORT, 1e5, starts=0, status=status, reason=f"{status}.") for status in statuses]
    found = answer(*receipts)
    assert [(each.outcome, each.sentence) for each in found.findings] == [("missed", "failed."), ("undecided", "lost.")]


def test_headlines() -> None:
    good = changed.receipt(ORT, 1e5, verdict=Verdict(passed=True))
    lost = changed.receipt(LITERT, 1e5, starts=0, status="lost", reason="It went away.")
    assert answer(good).headline == "1 check passed"
    assert answer(good, lost).headline == "Nothing failed; 1 of 2 checks cannot be decided"
    assert answer().headline == answer(changed.receipt(ORT, 1e5)).headline == "There was nothing to judge"


def test_the_same_finding_of_several_bundles_or_devices_is_one_line(overview: Overview) -> None:
    [wrong] = [line for line in overview.answer.lines("missed") if "outputs" in line.sentence]
    assert (wrong.bundles, wrong.devices) == (("gcwsnet/laptop/onnxruntime-int8-qdq",), ("local", "pi5"))
    [lost] = [line for line in overview.answer.lines("undecided") if "went away" in line.sentence]
    assert lost.bundles == ("mlp/server/onnxruntime-fp32", "mlp/mobile/litert-int8-dynamic")
    assert lost.devices == ("pi5",)
