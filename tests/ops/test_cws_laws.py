"""The exact laws of consistent weighted sampling, tested on the native kernels, and that wrong tables break them.

Each law is tested for each storage on 131,072 hashes at a significance of 0.001. The seeds are fixed, so a run
either always passes or always fails; sound kernels would fail one of the 52 tests with 5 % of all seeds.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from scipy import stats

from deploypipe.ops import CWS, cws_generated, cws_layouts, cws_tables

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


class Hashes:
    """A layer and its tables: r, log c and beta, in the order of `cws.reference`."""

    def __init__(self, layer: Hashes, tables: tuple[torch.Tensor, ...]) -> None:
        self.layer, self.tables = layer, tables

    @classmethod
    def of(cls, *tables: torch.Tensor) -> Hashes:
        return cls(CWS.from_tables(*tables), tables)

    def __call__(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        index, t = self.layer(rows)
        return index, t


def _winners(layer: Hashes, values: list[float]) -> tuple[torch.Tensor, ...]:
    """Returns of each hash: the winning feature, its weight u, its y and its a, in double."""
    index, t = (output[0] for output in layer(_row(values)))
    r, log_c, beta = (table.gather(1, index[:, None])[:, 0].double() for table in layer.tables)
    log_y = r * (t - beta)
    return index, _row(values)[0].double()[index], log_y.exp(), (log_c - log_y - r).exp()


def collision_law(layer: Hashes, one: list[float], other: list[float]) -> float:
    """P[equal (index, t)] is the min-max kernel of the two rows: exact binomial test."""
    hashes = torch.stack(layer(torch.cat([_row(one), _row(other)])), dim=2)
    equal = int((hashes[0] == hashes[1]).all(dim=1).sum())
    u, v = _row(one).double(), _row(other).double()
    kernel = float(torch.minimum(u, v).sum() / torch.maximum(u, v).sum())
    return float(stats.binomtest(equal, HASHES, kernel).pvalue)


def index_law(layer: Hashes, values: list[float]) -> float:
    """P[index = i] is u_i over the sum of u: chi-square test over the features that are not zero."""
    index = _winners(layer, values)[0]
    u = _row(values)[0].double()
    counts = torch.bincount(index, minlength=len(values))
    assert not counts[u == 0].any()
    expected = HASHES * u / u.sum()
    return float(stats.chisquare(counts[u > 0], expected[u > 0], sum_check=False).pvalue)


def minimum_law(layer: Hashes, values: list[float]) -> float:
    """The least a is exponential with rate sum of u: Kolmogorov-Smirnov test."""
    a = _winners(layer, values)[3]
    return float(stats.kstest((a * sum(values)).numpy(), "expon").pvalue)


def level_law(layer: Hashes, values: list[float]) -> float:
    """Of the winner, y / u is uniform on (0, 1): Kolmogorov-Smirnov test."""
    _, u, y, _ = _winners(layer, values)
    return float(stats.kstest((y / u).numpy(), "uniform").pvalue)


LAWS: list[Callable[[Hashes, list[float]], float]] = [index_law, minimum_law, level_law]


def _drawn() -> tuple[torch.Tensor, ...]:
    return tuple(torch.from_numpy(table).float() for table in cws_tables.tables(FEATURES, HASHES, SEED))


def _hashes(storage: str, sparse: bool | None = None) -> Hashes:
    layer = CWS(FEATURES, HASHES, SEED, storage, sparse)
    if storage == "generated":
        return Hashes(layer, cws_generated.tables(layer.seed, FEATURES, HASHES))
    if storage == "uint8":
        return Hashes(layer, cws_layouts.decode(cws_layouts.unpack(layer.table, HASHES, feature_major=True)))
    return Hashes(layer, _drawn())


@pytest.fixture(scope="module", params=["float32", "float32-sparse", "uint8", "generated"])
def layer(request: pytest.FixtureRequest) -> Hashes:
    storage, _, sparse = request.param.partition("-")
    return _hashes(storage, True if sparse else None)


def _exponential(seed: int) -> torch.Tensor:
    """Draws from Exp(1), which a wrong implementation takes for Gamma(2,1)."""
    return torch.from_numpy(-cws_tables.log(cws_tables._uniforms(HASHES, FEATURES, seed=seed)))


@pytest.mark.parametrize("pair", PAIRS)
def test_collision_probability_is_the_min_max_kernel(layer: Hashes, pair: str) -> None:
    assert collision_law(layer, *PAIRS[pair]) > SIGNIFICANCE


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("name", DATA)
def test_laws_of_one_row(layer: Hashes, name: str, law: Callable[[Hashes, list[float]], float]) -> None:
    assert law(layer, DATA[name]) > SIGNIFICANCE


def test_an_exponential_c_is_caught() -> None:
    r, _, beta = _drawn()
    wrong = Hashes.of(r, _exponential(1).log(), beta)
    assert index_law(wrong, DATA["dense"]) < 1e-9
    assert minimum_law(wrong, DATA["dense"]) < 1e-9
    assert collision_law(wrong, *PAIRS["near"]) < 1e-9


def test_an_exponential_r_is_caught() -> None:
    _, log_c, beta = _drawn()
    wrong = Hashes.of(_exponential(2), log_c, beta)
    assert level_law(wrong, DATA["dense"]) < 1e-9
    assert minimum_law(wrong, DATA["dense"]) < 1e-9
    assert collision_law(wrong, *PAIRS["scaled"]) < 1e-9


def test_a_constant_beta_is_caught() -> None:
    r, log_c, beta = _drawn()
    wrong = Hashes.of(r, log_c, torch.full_like(beta, 0.5))
    assert level_law(wrong, DATA["equal"]) < 1e-9


def test_codes_of_four_bits_would_be_caught() -> None:
    """The tests see a table that is too coarse: 8 bits are not more than is needed by far."""
    r, log_c, beta = _hashes("uint8").tables
    coarse = Hashes.of(r, torch.floor(log_c / 0.75) * 0.75 + 0.375, torch.floor(beta * 16) / 16 + 1 / 32)
    assert min(law(coarse, DATA["dense"]) for law in LAWS) < 1e-9
