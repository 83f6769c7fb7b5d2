"""The exact laws of consistent weighted sampling, tested on the native kernel, and that wrong tables break them.

Each law is tested on 131,072 hashes at a significance of 0.001. The seed is fixed, so a run either always
passes or always fails; a sound kernel would fail one of the 13 tests below with 1.3 % of all seeds.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from scipy import stats

from deploypipe.ops import CWS, cws_tables

HASHES, FEATURES, SEED = 131_072, 8, 2024
SIGNIFICANCE = 1e-3

DATA = {
    "dense": [0.3, 1.2, 0.7, 2.5, 0.1, 0.9, 1.8, 0.4],
    "sparse": [0.0, 5.0, 0.0, 0.02, 0.0, 1.0, 0.3, 0.0],
    "equal": [0.5] * 8,
}
PAIRS = {
    "near": (DATA["dense"], [0.35, 1.1, 0.7, 2.4, 0.2, 0.9, 1.7, 0.5]),
    "scaled": (DATA["dense"], [2 * value for value in DATA["dense"]]),
    "zeros": (DATA["dense"], DATA["sparse"]),
    "apart": (DATA["sparse"], [3.0, 0.01, 2.0, 0.0, 1.0, 0.0, 0.0, 4.0]),
}


def _row(values: list[float]) -> torch.Tensor:
    return torch.tensor([values], dtype=torch.float32)


def _winners(layer: CWS, values: list[float]) -> tuple[torch.Tensor, ...]:
    """Returns of each hash: the winning feature, its weight u, its y and its a, in double."""
    index, t = (output[0] for output in layer(_row(values)))
    r, log_c, beta = (table.gather(1, index[:, None])[:, 0].double() for table in (layer.r, layer.log_c, layer.beta))
    log_y = r * (t - beta)
    return index, _row(values)[0].double()[index], log_y.exp(), (log_c - log_y - r).exp()


def collision_law(layer: CWS, one: list[float], other: list[float]) -> float:
    """P[equal (index, t)] is the min-max kernel of the two rows: exact binomial test."""
    hashes = torch.stack(layer(torch.cat([_row(one), _row(other)])), dim=2)
    equal = int((hashes[0] == hashes[1]).all(dim=1).sum())
    u, v = _row(one).double(), _row(other).double()
    kernel = float(torch.minimum(u, v).sum() / torch.maximum(u, v).sum())
    return float(stats.binomtest(equal, HASHES, kernel).pvalue)


def index_law(layer: CWS, values: list[float]) -> float:
    """P[index = i] is u_i over the sum of u: chi-square test over the features that are not zero."""
    index = _winners(layer, values)[0]
    u = _row(values)[0].double()
    counts = torch.bincount(index, minlength=len(values))
    assert not counts[u == 0].any()
    expected = HASHES * u / u.sum()
    return float(stats.chisquare(counts[u > 0], expected[u > 0], sum_check=False).pvalue)


def minimum_law(layer: CWS, values: list[float]) -> float:
    """The least a is exponential with rate sum of u: Kolmogorov-Smirnov test."""
    a = _winners(layer, values)[3]
    return float(stats.kstest((a * sum(values)).numpy(), "expon").pvalue)


def level_law(layer: CWS, values: list[float]) -> float:
    """Of the winner, y / u is uniform on (0, 1): Kolmogorov-Smirnov test."""
    _, u, y, _ = _winners(layer, values)
    return float(stats.kstest((y / u).numpy(), "uniform").pvalue)


LAWS: list[Callable[[CWS, list[float]], float]] = [index_law, minimum_law, level_law]


@pytest.fixture(scope="module")
def layer() -> CWS:
    return CWS(FEATURES, HASHES, seed=SEED)


def _exponential(seed: int) -> torch.Tensor:
    """Draws from Exp(1), which a wrong implementation takes for Gamma(2,1)."""
    return torch.from_numpy(-cws_tables.log(cws_tables._uniforms(HASHES, FEATURES, seed=seed)))


@pytest.mark.parametrize("pair", PAIRS)
def test_collision_probability_is_the_min_max_kernel(layer: CWS, pair: str) -> None:
    assert collision_law(layer, *PAIRS[pair]) > SIGNIFICANCE


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("name", DATA)
def test_laws_of_one_row(layer: CWS, name: str, law: Callable[[CWS, list[float]], float]) -> None:
    assert law(layer, DATA[name]) > SIGNIFICANCE


def test_an_exponential_c_is_caught(layer: CWS) -> None:
    wrong = CWS.from_tables(layer.r, _exponential(1).log(), layer.beta)
    assert index_law(wrong, DATA["dense"]) < 1e-9
    assert minimum_law(wrong, DATA["dense"]) < 1e-9
    assert collision_law(wrong, *PAIRS["near"]) < 1e-9


def test_an_exponential_r_is_caught(layer: CWS) -> None:
    wrong = CWS.from_tables(_exponential(2), layer.log_c, layer.beta)
    assert level_law(wrong, DATA["dense"]) < 1e-9
    assert minimum_law(wrong, DATA["dense"]) < 1e-9
    assert collision_law(wrong, *PAIRS["scaled"]) < 1e-9


def test_a_constant_beta_is_caught(layer: CWS) -> None:
    wrong = CWS.from_tables(layer.r, layer.log_c, torch.full_like(layer.beta, 0.5))
    assert level_law(wrong, DATA["equal"]) < 1e-9
