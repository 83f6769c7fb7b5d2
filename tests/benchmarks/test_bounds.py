from __future__ import annotations

import numpy as np
import pytest

from benchmarks.kernels import bounds, machine, timing
from benchmarks.kernels.bounds import BYTES, MULTIPLY, READS, VECTOR, Need, Probes


@pytest.fixture(autouse=True)
def _caches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "cache_bytes", lambda: {1: 32 << 10, 2: 1 << 20, 3: 4 << 20})


@pytest.mark.parametrize(("size", "expected"), [(1000, 1), (200_000, 2), (1 << 20, 3), (3 << 20, 3), (1 << 30, 4)])
def test_the_memory_that_holds_a_working_set(size: int, expected: int) -> None:
    assert bounds.level(size) == expected


def test_bytes_are_read_from_the_nearest_memory_that_holds_them() -> None:
    assert bounds.read(10_000) == Need(READS["L1"], 10_000)
    assert bounds.read(1 << 30) == Need(READS["DRAM"], 1 << 30)


def test_the_cache_before_keeps_a_part_from_pass_to_pass() -> None:
    assert bounds.read(100 << 10, passes=3) == Need(READS["L2"], (100 + 2 * 68) << 10)
    assert bounds.read(10_000, passes=3) == Need(READS["L1"], 30_000)


def test_every_probe_measures_something() -> None:
    probes = Probes("avx2")
    needs = tuple(Need(resource, 1) for resource in (MULTIPLY, *READS.values()))
    samples = timing.interleave(probes.lanes(needs), 2, sample_seconds=1e-4)
    for need in needs:
        found = probes.bound((need,), samples)
        assert found is not None
        assert 0.1 < found.peak < 10_000  # 1e9 per second, on any machine


def test_the_bound_is_what_takes_longest() -> None:
    probes = Probes("portable")
    lanes = probes.lanes((Need(VECTOR, 1), Need(READS["L2"], 1)))
    assert [lane.name for lane in lanes] == [MULTIPLY, READS["L2"]]
    samples = {lane.name: np.array([1.0, 1.0]) for lane in lanes}
    operations, bytes_ = probes._work[MULTIPLY], probes._work[READS["L2"]]
    few = probes.bound((Need(VECTOR, operations), Need(READS["L2"], bytes_)), samples)
    many = probes.bound((Need(VECTOR, operations), Need(READS["L2"], 3 * bytes_)), samples)
    assert few is not None
    assert many is not None
    # A multiply-add is two operations in one instruction.
    assert (few.resource, few.microseconds) == (VECTOR, 2.0)
    assert (many.resource, many.microseconds) == (READS["L2"], 3.0)


def test_a_set_without_byte_products_has_no_bound_on_them() -> None:
    probes = Probes("portable")
    assert probes.lanes((Need(BYTES, 1),)) == []
    assert probes.bound((Need(BYTES, 1),), {}) is None
