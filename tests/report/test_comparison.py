"""A comparison finds what became slower, and nothing where the build is the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from deploypipe.devices.facts import DeviceFacts
from deploypipe.errors import DeployError
from deploypipe.profile.receipt import (
    BundleFacts,
    DeviceReceipts,
    Instructions,
    Protocol,
    Receipt,
    Report,
    Start,
)
from deploypipe.report.comparison import Comparison, Row, compare
from tests.profile.processes import USUAL, Array

ROUNDS = 10
Receipts = Callable[..., list[Receipt]]


def bundle(name: str, size: int = 1000) -> BundleFacts:
    facts = {"target": "laptop", "runtime": "onnxruntime", "runtime_version": "1", "precision": "fp32", "form": ""}
    return BundleFacts(name=name, model=name, bundle_bytes=2 * size, artifact_bytes=size, **facts)


def starts(times: Array | Sequence[float] | Sequence[Sequence[float]]) -> tuple[Start, ...]:
    """Processes of one run or several that take so many milliseconds; cold start and memory are those of any build."""
    return tuple(
        Start(
            round=number,
            process_ms=20 + number % 3,
            load_ms=2,
            first_ns=1_000_000,
            warm_up=10,
            settled=True,
            samples_ns=tuple((1e6 * np.atleast_1d(time)).astype(int)),
            peak_mb=40,
        )
        for number, time in enumerate(times)
    )


def receipt(name: str, times: Array | Sequence[float], again: Array | Sequence[float] = ()) -> Receipt:
    return Receipt(bundle=bundle(name), status="measured", starts=starts(times), twin=starts(again))


def on(*receipts: Receipt, **fields: Any) -> DeviceReceipts:
    named = {"name": "local", "transport": "local", "facts": DeviceFacts(platform="linux-x86_64", cpu="Xeon")}
    return DeviceReceipts(**(named | {"receipts": receipts} | fields))


def report(*devices: DeviceReceipts, **protocol: Any) -> Report:
    return Report(deploypipe="0", created="2026-11-27T00:00:00Z", protocol=Protocol(**protocol), devices=devices)


def profile(seed: int, count: int = 200, times: float = 1, rounds: Array | None = None) -> Report:
    """Many bundles of one build, in rounds that are slow or not; each fourth takes so many times as long."""
    chance = np.random.default_rng(seed)
    lanes = USUAL.starts(chance, 2, count, ROUNDS) * (1 if rounds is None else rounds)
    lanes[:, ::4] *= times
    return report(on(*(receipt(f"model{number}", *pair) for number, pair in enumerate(zip(*lanes, strict=True)))))


def latencies(found: Comparison) -> list[Row]:
    return [row for row in found.rows if row.figure == "latency"]


def regressions(found: Comparison) -> int:
    return len([row for row in latencies(found) if row.status == "regression"])


@pytest.fixture(scope="module")
def base() -> Report:
    return profile(seed=0)


def test_of_200_comparisons_of_one_build_none_is_a_regression(base: Report) -> None:
    again = profile(seed=1)
    for margin in (0.05, 0.02):
        assert compare(base, again, margin).of("regression") == []
    without_margin = compare(base, again, 0)
    assert len(latencies(without_margin)) == 200
    assert regressions(without_margin) <= 0.025 * 200


@pytest.mark.parametrize(("times", "margin"), [(1.05, 0.02), (1.1, 0.05)])
def test_a_kernel_that_became_slower_is_found(base: Report, times: float, margin: float) -> None:
    found = compare(base, profile(seed=2, times=times), margin)
    assert regressions(found) >= 0.95 * 50
    assert not found.shifts


def test_a_kernel_that_became_faster_is_an_improvement(base: Report) -> None:
    found = compare(base, profile(seed=2, times=0.9), 0.05)
    assert len(found.of("improvement")) >= 0.95 * 50
    assert found.of("regression") == []


def test_what_is_slower_within_the_margin_is_no_regression(base: Report) -> None:
    found = compare(base, profile(seed=2, times=1.05), 0.1)
    assert found.of("regression") == []
    assert len(found.of("changed")) >= 0.95 * 50


def test_a_device_that_wanders_gives_few_regressions() -> None:
    """Each round takes 10 % more or less than the one before, through one profile and the next, of one build."""
    chance = np.random.default_rng(0)
    found, beyond_margin = 0, 0
    for seed in range(150):
        rounds = np.exp(np.cumsum(0.1 * chance.standard_normal(2 * ROUNDS)))
        old, new = (profile(2 * seed + part, 1, rounds=rounds[part * ROUNDS :][:ROUNDS]) for part in (0, 1))
        (row,) = latencies(compare(old, new, 0.05))
        found += row.status == "regression"
        beyond_margin += row.ratio is not None and row.ratio.low > 1.05
    assert beyond_margin > 0.15 * 150
    assert found < beyond_margin / 3


def test_rows_name_device_bundle_and_figure_with_its_ratio() -> None:
    old, new = (report(on(receipt("lltm", [time] * 8))) for time in (1.0, 1.2))
    rows = {row.figure: row for row in compare(old, new, 0.05).rows}
    assert set(rows) == {"latency", "cold start", "peak memory", "artifact"}
    row = rows["latency"]
    assert rows["artifact"].device == ""
    assert (row.device, row.bundle, row.unit, row.old, row.new) == ("local", "lltm", "ns", 1_000_000, 1_200_000)
    assert row.ratio
    assert row.ratio.low == pytest.approx(1.2)
    assert row.status == "regression"
    assert {rows[name].status for name in ("cold start", "peak memory", "artifact")} == {"same"}


def tails(found: Comparison) -> list[Row]:
    return [row for row in found.rows if row.figure == "p90"]


def test_a_tail_that_became_longer_is_found_where_the_median_stayed() -> None:
    old, new = (report(on(receipt("lltm", [[1.0] * 16 + [tail] * 4] * 8))) for tail in (1.1, 1.5))
    found = compare(old, new, 0.05)
    assert [row.status for row in latencies(found) + tails(found)] == ["same", "regression"]
    (row,) = tails(found)
    assert (row.unit, row.old, row.new) == ("ns", 1_100_000, 1_500_000)


def test_tails_are_compared_from_64_samples_on() -> None:
    few, enough = ([[1.0] * count] * 8 for count in (7, 8))
    assert not tails(compare(report(on(receipt("lltm", few))), report(on(receipt("lltm", enough))), 0.05))
    assert tails(compare(report(on(receipt("lltm", enough))), report(on(receipt("lltm", enough))), 0.05))


def test_of_100_tails_of_one_build_none_is_a_regression() -> None:
    chance = np.random.default_rng(3)
    old, new = (
        report(on(*(receipt(f"model{number}", *USUAL.samples(chance, 2, ROUNDS, 40) / 1e6) for number in range(100))))
        for _ in range(2)
    )
    assert len(tails(compare(old, new, 0.05))) == 100
    assert [row for row in tails(compare(old, new, 0.05)) if row.status == "regression"] == []
    assert len([row for row in tails(compare(old, new, 0)) if row.status == "regression"]) <= 0.025 * 100


def test_too_few_starts_do_not_tell() -> None:
    old, new = (report(on(receipt("lltm", [time] * 3))) for time in (1.0, 2.0))
    (row,) = latencies(compare(old, new, 0.05))
    assert (row.status, row.ratio) == ("unknown", None)


def test_a_change_within_the_noise_floor_is_none() -> None:
    noisy = [1.0, 1.3] * 5
    old, new = report(on(receipt("lltm", [1.0] * 10, noisy))), report(on(receipt("lltm", [1.2] * 10)))
    (row,) = latencies(compare(old, new, 0.05))
    assert row.floor > 0.2
    assert row.status == "same"


def emulated(*counts: int, cpu: str = "cortex-a76", size: int = 1000) -> DeviceReceipts:
    counted = Instructions(emulator="qemu 7.2.22", cpu=cpu, per_inference=counts)
    found = Receipt(bundle=bundle("lltm", size), status="measured", instructions=counted)
    return on(found, name="emulated", emulates=cpu)


def test_instructions_and_sizes_have_no_noise_but_their_own() -> None:
    found = compare(report(emulated(1000, 1002)), report(emulated(1100, 1102, size=1060)), 0.05)
    instructions, artifact = found.rows
    assert instructions.ratio
    assert instructions.ratio.low == pytest.approx(1100 / 1002)
    assert [instructions.status, artifact.status] == ["regression", "regression"]
    alternating = compare(report(emulated(1000, 1002)), report(emulated(1002, 1000)), 0)
    assert alternating.of("same") == list(alternating.rows)


def test_what_only_one_report_has_is_told() -> None:
    kept = receipt("kept", [1.0] * 6)
    old = report(on(kept, receipt("gone", [1.0] * 6)), on(name="pi5"))
    new = report(on(kept, receipt("come", [1.0] * 6)))
    assert compare(old, new, 0.05).notes == (
        "Device pi5 is in the old report only.",
        "On local, gone is in the old report only.",
        "On local, come is in the new report only.",
    )


def test_a_bundle_that_no_longer_runs_is_told() -> None:
    works = receipt("lltm", [1.0] * 6)
    fails = Receipt(bundle=works.bundle, status="failed", reason="Its outputs are wrong.")
    found = compare(report(on(works)), report(on(fails)), 0.05)
    assert found.broken == ("On local, lltm was measured and is failed: Its outputs are wrong.",)
    assert found.notes == ()
    assert [row.figure for row in found.rows] == ["artifact"]


def test_times_of_another_processor_are_not_compared() -> None:
    other = DeviceFacts(platform="linux-x86_64", cpu="EPYC")
    found = compare(report(on(receipt("lltm", [1.0] * 6))), report(on(receipt("lltm", [2.0] * 6), facts=other)), 0.05)
    assert found.notes == ("On local, only sizes are compared: its processor was Xeon and is EPYC.",)
    assert [row.figure for row in found.rows] == ["artifact"]


def test_a_device_on_which_everything_became_slower_is_doubted() -> None:
    old, new = (report(on(*(receipt(name, [time] * 6) for name in "abc"))) for time in (1.0, 1.2))
    (note,) = compare(old, new, 0.05).notes
    assert note.startswith("On local, all 3 bundles became slower, by 20 to 20 %.")


def test_profiles_of_other_options_are_refused() -> None:
    reports = (report(on(receipt("lltm", [1.0] * 6)), threads=threads) for threads in (1, 2))
    with pytest.raises(DeployError, match="measured in different ways: threads 1 and 2"):
        compare(*reports, 0.05)


def test_reports_without_anything_in_common_are_refused() -> None:
    old, new = report(on(receipt("lltm", [1.0] * 6))), report(on(receipt("mlp", [1.0] * 6)))
    with pytest.raises(DeployError, match="no bundle in common"):
        compare(old, new, 0.05)
