"""The page: what stands in it, what it lets run, and how it looks in Chromium."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from deploypipe import report as reports
from deploypipe.profile.receipt import Report
from deploypipe.report import page
from deploypipe.report.overview import Overview

from . import changed, hostile
from .conftest import Shown

ORT = "lltm/server/onnxruntime-fp32"
MOST_BYTES = 6_000_000


class Document(HTMLParser):
    """What a browser finds in a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str]] = []
        self.scripts: list[str] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        (self.scripts if self.cdata_elem == "script" else self.texts).append(data)

    def values(self, name: str) -> set[str]:
        return {value for key, value in self.attributes if key == name}


@pytest.fixture(scope="module")
def document(written: Path) -> Document:
    return Document((written / "report.html").read_text())


@pytest.fixture(scope="module")
def attacked(report: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the hostile report."""
    return reports.write(hostile.report(report), tmp_path_factory.mktemp("hostile"))


def test_the_verdict_comes_first(document: Document) -> None:
    said = [text for text in map(str.strip, document.texts) if text]
    headline = said.index("5 of 48 checks failed")
    assert headline < said.index("The fastest of each model") < said.index("How it was measured", headline)


def test_the_page_holds_everything_it_needs(written: Path, document: Document) -> None:
    assert (written / "report.html").stat().st_size < MOST_BYTES
    assert document.values("src") == set()
    assert {value for value in document.values("href") if not value.startswith(("#", "./", "data:"))} == set()


def test_the_policy_lets_our_scripts_run_and_no_others(document: Document) -> None:
    [policy] = [value for value in document.values("content") if "default-src" in value]
    assert "default-src 'none'" in policy
    digests = {base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in document.scripts}
    allowed = set(re.findall(r"'sha256-([^']+)'", policy))
    assert len(allowed) == 2
    assert allowed <= digests


def test_traces_are_linked_beside_the_page(document: Document) -> None:
    assert "./lltm-server-onnxruntime-fp32.trace.json" in document.values("href")


def test_words_of_a_bundle_stay_words(document: Document, attacked: Path) -> None:
    found = Document(attacked.read_text())
    assert found.tags == document.tags
    names = {name for name, _ in found.attributes}
    assert names == {name for name, _ in document.attributes}
    assert hostile.SCRIPT in {text.strip() for text in found.texts}
    assert {value for value in found.values("href") if not value.startswith(("#", "./", "data:"))} == set()


def test_a_report_in_which_nothing_was_measured_is_a_page_too() -> None:
    lost = changed.receipt(ORT, 1e5, starts=0, status="lost", reason="It went away. Look whether it is on.")
    for report in (changed.report(), changed.report(lost, lost="It went away. Look whether it is on.")):
        assert "Latency receipts" in page.render(Overview.of(report))


@pytest.mark.slow
def test_the_page_in_chromium(written: Path, shown: Shown, artifacts: Path) -> None:
    """Light, dark, on a phone and on paper: every chart is drawn, nothing overflows, and nothing is asked for."""
    page, backgrounds = written / "report.html", {"light": "rgb(246, 247, 249)", "dark": "rgb(15, 18, 22)"}
    found = shown(page, artifacts, "1200-full-light", "1200-full-dark", "390-full-dark", "paper")
    assert set(found["looks"].pop("paper")) == {312, 660}
    for name, look in found["looks"].items():
        assert look["headline"] == "5 of 48 checks failed"
        assert (look["overflowing"], look["scrolls"]) == ([], False), name
        assert (look["plots"], look["sticky"]) == (33, "sticky")
        assert look["background"] == backgrounds[name.rpartition("-")[2]]
    assert found["looks"]["1200-full-light"]["inks"] == ["rgb(93, 101, 112)"]
    assert found["looks"]["1200-full-dark"]["inks"] == ["rgb(163, 172, 183)"]
    assert (found["problems"], found["asked"]) == ([], [page.as_uri()])


@pytest.mark.slow
def test_a_hostile_bundle_runs_nothing_and_asks_nothing(attacked: Path, shown: Shown, tmp_path: Path) -> None:
    found = shown(attacked, tmp_path, "390-full-light")
    assert (found["ran"], found["problems"], found["asked"]) == (None, [], [attacked.as_uri()])
    look = found["looks"]["390-full-light"]
    assert (look["overflowing"], look["scrolls"]) == ([], False)
    assert hostile.SCRIPT in look["models"]
    assert any("</script><script>ran=3</script>" in mark for mark in look["marks"])
