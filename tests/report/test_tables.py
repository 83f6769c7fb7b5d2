"""The tables of real and of emulated devices."""

from __future__ import annotations

from deploypipe.profile.receipt import Report
from deploypipe.report import figures
from deploypipe.report.overview import Overview, Section
from deploypipe.report.tables import Cell, Group, Row, Table

from . import changed

ORT, INT8 = "lltm/server/onnxruntime-fp32", "lltm/laptop/onnxruntime-int8-dynamic"


def cells(table: Table, label: str) -> dict[str, Cell]:
    """The cells of the first line with a label, by their columns."""
    row = next(row for group in table.groups for row in group.rows if row.label == label)
    return dict(zip(table.columns, row.cells, strict=True))


def section(overview: Overview, name: str) -> Section:
    return next(section for section in overview.sections if section.device.name == name)


def test_a_latency_has_a_unit_and_an_interval() -> None:
    found = cells(Overview.of(changed.report(changed.receipt(ORT, 123_000))).sections[0].table, "onnxruntime fp32")
    assert (found["median"].text, found["median"].note) == ("0.123 ms", "±0.6 %")
    assert found["median"].title == "95 % interval: 0.122 ms to 0.124 ms"
    assert (found["artifact"].text, found["artifact"].note) == ("403 kB", "of 499 kB")
    assert (found["accuracy"].text, found["accuracy"].note) == ("98.67 %", "as in PyTorch")


def test_what_cannot_be_told_apart_from_the_fastest_is_grey() -> None:
    report = changed.report(changed.receipt(ORT, 1e5), changed.receipt(INT8, 1.0001e5, spread=0.012))
    table = Overview.of(report).sections[0].table
    fastest, other = cells(table, "onnxruntime fp32"), cells(table, "onnxruntime int8-dynamic")
    assert [fastest[column].tone for column in ("median", "against fastest")] == ["best", "best"]
    assert [other[column].tone for column in ("median", "against fastest")] == ["same", "same"]


def test_a_slower_one_says_how_many_times() -> None:
    table = Overview.of(changed.report(changed.receipt(ORT, 1e5), changed.receipt(INT8, 2.5e5))).sections[0].table
    found = cells(table, "onnxruntime int8-dynamic")["against fastest"]
    assert (found.text, found.tone) == ("2.50×", "")


def test_a_percentile_of_too_few_runs_is_not_printed() -> None:
    table = Overview.of(changed.report(changed.receipt(ORT, 1e5, count=40))).sections[0].table
    assert "p99" not in table.columns
    assert any("p99 662" in note for note in table.notes)
    many = changed.report(changed.receipt(ORT, 1e5, count=40), changed.receipt(INT8, 1e5, count=70))
    found = cells(Overview.of(many).sections[0].table, "onnxruntime fp32")["p99"]
    assert (found.text, found.title) == (figures.NONE, "it takes 662 samples, and there are 400")


def test_one_start_has_no_interval() -> None:
    table = Overview.of(changed.report(changed.receipt(ORT, 1e5, starts=1))).sections[0].table
    found = cells(table, "onnxruntime fp32")["median"]
    assert (found.text, found.note, found.title) == ("0.0990 ms", "", "no interval from one start")


def test_the_noise_and_the_notes_of_receipts_stand_beneath() -> None:
    twin = changed.receipt(ORT, 1.02e5).starts
    report = changed.report(changed.receipt(ORT, 1e5, twin=twin, notes=("No sustained run: the battery is low.",)))
    notes = Overview.of(report).sections[0].table.notes
    assert "Noise, from a bundle that ran as two: lltm 2.0 %. Medians that differ by less are not told apart." in notes
    assert "onnxruntime fp32: No sustained run: the battery is low." in notes


def test_a_lost_bundle_shows_what_came_before(overview: Overview) -> None:
    table = section(overview, "pi5").table
    [row] = [row for group in table.groups if group.title == "mlp" for row in group.rows]
    assert row.note == "mobile, lost after 2 starts"


def test_every_receipt_that_is_not_measured_has_its_reason(report: Report, overview: Overview) -> None:
    for one in overview.sections:
        told = {name for trouble in one.troubles for name in trouble.bundles}
        assert told == {each.bundle.name for each in one.device.receipts if each.status != "measured"}
        assert all(trouble.reason for trouble in one.troubles)
    assert {trouble.status for one in overview.sections for trouble in one.troubles} == {"failed", "lost", "declined"}


def test_an_emulated_device_counts_instructions(overview: Overview) -> None:
    found = cells(section(overview, "cortex-a76").table, "litert fp32")
    assert (found["instructions per inference"].text, found["instructions per inference"].note) == (
        "958,387",
        "equal in 5 runs",
    )
    assert cells(section(overview, "cortex-a76").table, "onnxruntime fp32")["instructions per inference"].note == (
        "5 runs within 275"
    )
    assert found["parity"].tone == "good"


def test_an_emulated_device_never_shows_a_time(report: Report) -> None:
    local = report.devices[0]
    emulated = report.model_copy(update={"devices": (local.model_copy(update={"emulates": "cortex-a53"}),)})
    overview = Overview.of(emulated)
    [only] = overview.sections
    assert overview.timed.on(only.device) == {}
    assert [only.profiles, only.times.groups, only.scenarios.groups, overview.fastest.groups[0].rows] == [()] * 4
    texts = [cell.text + cell.note for group in only.table.groups for row in group.rows for cell in row.cells]
    assert not any(" ms" in text for text in texts)
    assert not any("p90" in finding.sentence for finding in overview.answer.findings)


def test_the_fastest_of_each_model_names_what_cannot_be_told_apart() -> None:
    report = changed.report(changed.receipt(ORT, 1e5), changed.receipt(INT8, 1.0001e5, spread=0.012))
    [row] = Overview.of(report).fastest.groups[0].rows
    assert (row.label, row.cells[0].text) == ("lltm", "onnxruntime fp32, 0.100 ms ±0.6 %")
    assert row.cells[0].note == "or onnxruntime int8-dynamic, which cannot be told apart"


def test_shares_of_the_time_are_those_of_the_operators(overview: Overview) -> None:
    found = cells(section(overview, "local").times, "onnxruntime fp32")
    parts = [found[kind].text for kind in ("custom ops", "delegates", "built in", "runtime itself")]
    assert parts == ["50 %", "10 %", "20 %", "20 %"]
    assert (found["bare kernels"].text, found["tax"].text) == ("0.0146 ms", "1.10×")


def test_scenarios_tell_what_loadgen_judges(overview: Overview) -> None:
    table = section(overview, "local").scenarios
    rows = [row for group in table.groups for row in group.rows if row.label == "onnxruntime fp32"]
    judged = [row.cells[table.columns.index("judged")] for row in rows]
    assert [row.note for row in rows] == ["SingleStream", "Offline", "Server"]
    assert [(cell.text, cell.tone) for cell in judged] == [("valid", "good"), ("valid", "good"), ("INVALID", "bad")]
    assert any(note.startswith("Server: 99 % of the queries") for note in table.notes)


def test_the_environment_tells_before_and_after(overview: Overview) -> None:
    [group] = overview.environment.groups
    found = {row.label: [cell.text for cell in row.cells] for row in group.rows}
    assert found["load"] == ["0.41 → 1.07", "0.05", "0.90", "0.90"]
    assert found["temperature"] == [figures.NONE, "58 °C", figures.NONE, figures.NONE]
    assert "battery" not in found


def test_columns_without_a_value_are_left_out() -> None:
    rows = (Row("a", (Cell("1"), Cell())), Row("b", (Cell(), Cell())))
    assert Table("", ("x", "y"), (Group("", rows),)).without_empty_columns().columns == ("x",)


def test_a_device_that_did_not_answer_says_so() -> None:
    assert Overview.of(changed.report()).sections[0].facts == "It did not answer."
