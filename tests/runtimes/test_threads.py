"""A run has as many threads as it was loaded with, in every runtime, and gives the same numbers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import deploypipe
from deploypipe import runtimes
from deploypipe.errors import DeployError

ROWS = np.random.default_rng(0).normal(size=(2, 4)).astype("float32")


def of_torch(_: Any) -> int:
    import torch

    return torch.get_num_threads()


def of_executorch(_: Any) -> int:
    from executorch.extension.pybindings import _portable_lib

    return int(_portable_lib._threadpool_get_thread_count())


def of_onnxruntime(session: Any) -> int:
    return int(session.session.get_session_options().intra_op_num_threads)


def of_litert(session: Any) -> int:
    (model,) = session.models.values()
    return int(model._opened.source.threads)


THREADS: dict[str, Callable[[Any], int]] = {
    "aotinductor": of_torch,
    "executorch": of_executorch,
    "litert": of_litert,
    "onnxruntime": of_onnxruntime,
    "torchscript": of_torch,
}


@pytest.fixture(params=THREADS)
def bundle(request: pytest.FixtureRequest, own_cache: Path, plain: Any, tmp_path: Path) -> Path:
    built = deploypipe.build(plain(), out=tmp_path / "dist", runtimes=[request.param])
    return built[0].path


@pytest.mark.slow
def test_a_run_has_the_threads_that_it_was_loaded_with(bundle: Path) -> None:
    outputs = []
    for count in (2, 1):
        with deploypipe.load(bundle, threads=count) as model:
            thread = threading.Thread(target=lambda model=model, count=count: outputs.append(run(model, count)))
            thread.start()
            thread.join()
    assert len(outputs) == 2
    np.testing.assert_array_equal(*outputs)


def run(model: Any, count: int) -> Any:
    (output,) = model(ROWS)
    assert THREADS[model.manifest.runtime.name](model.session) == count
    return output


def test_every_runtime_of_this_process_is_in_the_list() -> None:
    assert set(THREADS) | {"tflite-runtime"} == set(runtimes.NAMES)


@pytest.mark.parametrize("threads", [0, -1])
def test_a_run_without_threads_is_refused(built_onnx: Path, threads: int) -> None:
    with pytest.raises(DeployError, match=f"cannot have {threads} threads"):
        deploypipe.load(built_onnx, threads=threads)
