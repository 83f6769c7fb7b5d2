"""The process in Python speaks as dp-bench does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from deploypipe.bundle import manifest as manifests
from deploypipe.devices.local import Local
from deploypipe.profile import bench, worker
from deploypipe.profile.bench import Bench
from deploypipe.tensors import TensorInfo

MS = 1_000_000


def steps(times: Iterable[int]) -> Callable[[], int]:
    endless = iter(times)
    return lambda: next(endless)


def falling() -> Iterable[int]:
    """Half as long with each block, down to 10 ms."""
    for time in (80, 40, 20):
        yield from [time * MS] * worker.BLOCK_RUNS
    while True:
        yield 10 * MS


def test_the_warm_up_ends_when_two_blocks_agree() -> None:
    assert worker.settle(steps(falling()), seconds=10) == (5 * worker.BLOCK_RUNS, True)


def test_the_warm_up_ends_when_its_time_is_over() -> None:
    runs, settled = worker.settle(steps(falling()), seconds=0.5)
    assert (runs, settled) == (2 * worker.BLOCK_RUNS, False)


def test_a_block_of_short_runs_lasts_a_while() -> None:
    runs, settled = worker.settle(lambda: MS // 10, seconds=10)
    assert (runs, settled) == (2 * worker.BLOCK_NS // (MS // 10), True)


def test_no_warm_up() -> None:
    assert worker.settle(lambda: MS, seconds=0) == (0, False)


def test_an_axis_takes_another_size() -> None:
    info = TensorInfo(name="x", dtype="float32", shape=(3, "batch"))
    array = np.arange(6, dtype=np.float32).reshape(3, 2)
    longer = worker.repeated(array, info, {"batch": 5})
    np.testing.assert_array_equal(longer[0], [0, 1, 0, 1, 0])
    assert longer.shape == (3, 5)
    np.testing.assert_array_equal(worker.repeated(array, info, {}), array)


def test_it_measures_a_bundle(onnx_bundle: Path) -> None:
    transport = Local("")
    try:
        command = worker.command(onnx_bundle)
        ran = bench.parse(transport.run([*command, *Bench(5, 10, settle=0.01, verify=True).words()], 120), "plain")
    finally:
        transport.close()
    assert ran.verdict
    assert ran.verdict.passed
    assert len(ran.start.samples_ns) == 5
    assert ran.start.runtime_version == manifests.read(onnx_bundle).runtime.built_with
    assert ran.start.process_ms
    assert ran.start.process_ms > ran.start.load_ms > 0


def test_what_it_does_not_know_is_one_sentence(tmp_path: Path) -> None:
    transport = Local("")
    finished = transport.run([*worker.command(tmp_path), *Bench(1, 1).words()], 120)
    transport.close()
    assert finished.code == 1
    assert "is not a bundle" in finished.err
    assert "Traceback" not in finished.err
