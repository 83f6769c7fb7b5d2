from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks import cli
from benchmarks.kernels import cws_data, cws_peers, lltm_data, run, timing
from benchmarks.kernels.case import Case, Comparison
from benchmarks.kernels.own import Own
from benchmarks.kernels.timing import Lane, Outputs
from deploypipe.errors import DeployError

SCRIPT = Path(__file__).parents[2] / "scripts" / "bench"


@pytest.fixture(scope="module")
def own() -> Own:
    return Own()


def lane(name: str, value: float, log: list[str]) -> Lane:
    def result() -> Outputs:
        return [np.array([value])]

    return Lane(name, lambda times: log.append(name), result)


def test_a_wrong_peer_stops_its_case_before_anything_is_timed(own: Own, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[str] = []
    case = Case(
        [lane("ours", 1.0, runs), lane("wrong peer", 1.5, runs)], [Comparison("work", "it", "ours", ("wrong peer",))]
    )
    monkeypatch.setattr(run, "QUICK", {"cws-row": lambda _: case})
    result = run.measure("cws-row", own, rounds=2, quick=True)
    assert "'wrong peer' does not compute what 'ours' does" in result.error
    assert (result.rows, result.samples, runs) == ([], {}, [])


def test_an_error_is_printed_and_exits_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case([lane("ours", 1.0, []), lane("peer", 2.0, [])], [])
    monkeypatch.setattr(run, "QUICK", {"cws-row": lambda _: case})
    result = CliRunner().invoke(cli.app, ["kernels", "--quick", "--only", "cws-row"])
    assert result.exit_code == 1
    assert "cws-row: 'peer' does not compute what 'ours' does" in result.stdout


@pytest.mark.parametrize(("arguments", "code"), [([], 0), (["--strict"], 1)])
def test_a_figure_below_what_is_asked(monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int) -> None:
    lanes = [lane("ours", 1.0, []), lane("peer", 1.0, [])]
    case = Case(lanes, [Comparison("work", "peer", "ours", ("peer",), asked=1e9)])
    monkeypatch.setattr(run, "QUICK", {"cws-row": lambda _: case})
    result = CliRunner().invoke(cli.app, ["kernels", "--quick", "--only", "cws-row", *arguments])
    assert result.exit_code == code
    assert "below" in result.stdout


def test_names() -> None:
    assert run.names([]) == list(run.CASES)
    assert run.names(["cws-row", "tax"]) == ["cws-row", "tax-cws", "tax-cws-392", "tax-lltm", "tax-int8"]
    assert run.CASES.keys() == run.QUICK.keys()
    with pytest.raises(DeployError, match="Did you mean 'cws-row'"):
        run.names(["cwsrow"])


def test_an_instruction_set_that_is_not_there() -> None:
    with pytest.raises(DeployError, match="no instruction set 'sse9'"):
        Own(["sse9"])


def test_lanes_run_on_their_instruction_set(own: Own) -> None:
    used: list[str] = []
    for each in own.lanes("work", lambda times: used.append(own.standalone.isa), lambda: []):
        each.prepare()
        each.run(1)
    assert used == list(own.isas)


def test_all_peers_of_cws_agree_with_numpy_in_double() -> None:
    data = cws_data.draw(3, 50, 32, seed=1)
    r, log_c, beta = (part.astype(np.float64) for part in (data.r, data.log_c, data.beta))
    with np.errstate(divide="ignore"):
        log_u = np.log(data.rows.astype(np.float64))[:, None]
    t = np.floor(log_u / r + beta)
    a = log_c - r * (t - beta + 1)
    index = a.argmin(axis=2)
    chosen = np.take_along_axis(t, index[:, :, None], axis=2)[:, :, 0].astype(np.int64)
    lanes = [*cws_peers.torch_lanes(data), *cws_peers.numpy_lanes(data), *cws_peers.datasketch_lanes(data)]
    assert len({lane.name for lane in lanes}) == 7
    timing.check([Lane("double", lambda times: None, lambda: [index, chosen], "cws"), *lanes])


def test_rows_of_given_sparsity() -> None:
    data = cws_data.draw(5, 400, 16, nonzeros=7)
    assert (np.count_nonzero(data.rows, axis=1) == 7).all()
    assert data.nonzeros == 35


def test_codes_are_a_fifth_of_the_bytes() -> None:
    data = cws_data.draw(1, 20, 16)
    codes, real = data.coded()
    assert codes.nbytes / data.sparse_table().nbytes == 3 / 16
    assert np.abs(real.r / data.r - 1).max() < 1 / 16


def test_operations_of_a_layer() -> None:
    data = lltm_data.draw(batch=2, hidden=5, steps=3, features=4)
    assert data.operations == 2 * 3 * 2 * (15 * 9)


@pytest.mark.slow
def test_all_cases_end_to_end(tmp_path: Path) -> None:
    numbers = tmp_path / "numbers.json"
    command = [sys.executable, str(SCRIPT), "kernels", "--quick", "--json", str(numbers)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "CWS sparse" in done.stdout
    found = json.loads(numbers.read_text())
    assert list(found["cases"]) == list(run.CASES)
    assert not any(case["error"] for case in found["cases"].values())
    assert found["machine"]["versions"]["datasketch"]
    case = found["cases"]["cws-sparse"]
    assert {row["against"] for row in case["rows"]} >= {"datasketch minhash_many", "own float32 tables"}
    assert len(case["samples_us"]["kernel"]) == found["rounds"]
