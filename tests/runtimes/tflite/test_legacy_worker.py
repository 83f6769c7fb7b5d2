"""tflite-runtime in its own process: numbers, sizes that change, and how it ends."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest

from deploypipe.errors import DeployError
from deploypipe.runtimes import tflite_runtime
from deploypipe.runtimes.tflite import flatbuffer, legacy_process
from deploypipe.runtimes.tflite.legacy_process import LegacyProcess
from deploypipe.runtimes.tflite.legacy_worker import Message, receive, send

from . import files

Array = np.ndarray[Any, Any]

DEEP = 32


def written(folder: Path, content: bytes) -> Path:
    path = folder / "model.tflite"
    path.write_bytes(content)
    return path


def dense(rows: int = -1) -> tuple[bytes, Array]:
    """Returns x @ w.T, and w."""
    w = files.weights(files.OUT, DEEP)
    options = flatbuffer.schema().FullyConnectedOptionsT()
    inputs = [(files.FLOAT, (rows, DEEP)), w]
    return files.operator("FULLY_CONNECTED", inputs, (rows, files.OUT), options), w


def difference(names: Sequence[str]) -> bytes:
    """Returns a - b, whose inputs have these names."""
    model = flatbuffer.parse(files.operator("SUB", [(files.FLOAT, (2,)), (files.FLOAT, (2,))], (2,)))
    for each, name in zip(model.signatureDefs[0].inputs, names, strict=True):
        each.name = name.encode()
    return flatbuffer.inline(model)


def gone(pid: int) -> bool:
    """Waits until there is no such process, not even a zombie."""
    for _ in range(200):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 0)
            time.sleep(0.02)
            continue
        return True
    return False


@pytest.mark.parametrize("dtype", ["float32", "float16", "int64", "int8", "bool"])
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
def test_messages_keep_arrays_as_they_are(dtype: str, shape: tuple[int, ...]) -> None:
    stream = io.BytesIO()
    arrays = [np.ones(shape, dtype), np.arange(6).astype(dtype).reshape(2, 3).T]
    send(stream, Message({"command": "run"}, arrays))
    whole = stream.getvalue()
    found = receive(io.BytesIO(whole))
    assert found
    assert found.facts == {"command": "run"}
    for wanted, array in zip(arrays, found.arrays, strict=True):
        assert (array.dtype, array.shape, array.flags.writeable) == (wanted.dtype, wanted.shape, True)
        assert np.array_equal(array, wanted)
    assert all(receive(io.BytesIO(whole[:size])) is None for size in range(len(whole)))


def test_the_probe_makes_numbers_and_tells_versions(legacy: LegacyProcess) -> None:
    versions = legacy.probe()
    assert versions["tflite-runtime"] == tflite_runtime.version() == "2.14.0"
    assert versions["numpy"].startswith("1.")


def test_the_batch_may_grow_and_shrink(legacy: LegacyProcess, tmp_path: Path) -> None:
    content, w = dense()
    signatures = legacy.load(written(tmp_path, content))
    assert signatures[flatbuffer.SIGNATURE]["inputs"] == [{"name": "input_0", "dtype": "float32", "shape": [-1, DEEP]}]
    for rows in (1, 7, 3, 64, 1, 2):
        x = np.random.default_rng(rows).standard_normal((rows, DEEP)).astype(np.float32)
        (y,) = legacy.run([x])
        assert y.shape == (rows, files.OUT)
        np.testing.assert_allclose(y, x @ w.T, rtol=1e-4, atol=1e-4)


def test_integers_of_64_bits_are_exact(legacy: LegacyProcess, tmp_path: Path) -> None:
    legacy.load(written(tmp_path, files.operator("NEG", [(files.INT64, (3,))], (3,), dtype=files.INT64)))
    x = np.array([2**62 + 1, -5, 0], np.int64)
    (y,) = legacy.run([x])
    assert y.dtype == np.int64
    assert np.array_equal(y, -x)


@pytest.mark.parametrize("turned", [False, True], ids=["", "turned"])
@pytest.mark.parametrize("names", [("a", "b"), ("zeta", "alpha"), ("args_10", "args_9")])
def test_inputs_are_in_the_order_of_the_graph(
    legacy: LegacyProcess, tmp_path: Path, names: tuple[str, str], turned: bool
) -> None:
    model = flatbuffer.parse(difference(names))
    if turned:  # converters write signatures by the alphabet
        model.signatureDefs[0].inputs.reverse()
    signatures = legacy.load(written(tmp_path, flatbuffer.inline(model)))
    assert [each["name"] for each in signatures[flatbuffer.SIGNATURE]["inputs"]] == list(names)
    (y,) = legacy.run([np.array([5, 6], np.float32), np.array([1, 3], np.float32)])
    assert y.tolist() == [4, 3]


def test_a_tensor_may_be_two_outputs_and_an_input(legacy: LegacyProcess, tmp_path: Path) -> None:
    model = flatbuffer.parse(difference(("a", "b")))
    graph = model.subgraphs[0]
    graph.outputs = [graph.outputs[0], graph.inputs[1], graph.outputs[0]]
    model.signatureDefs.clear()
    files.sign(model)
    for each, name in zip(model.signatureDefs[0].outputs, ("c", "a", "b"), strict=True):
        each.name = name.encode()
    legacy.load(written(tmp_path, flatbuffer.inline(model)))
    outputs = legacy.run([np.array([5, 6], np.float32), np.array([1, 3], np.float32)])
    assert [each.tolist() for each in outputs] == [[4, 3], [1, 3], [4, 3]]


def two_batches() -> tuple[bytes, Array]:
    """Returns the file of `dense` with signatures for batches of 1 and 4."""
    content, w = dense(1)
    model, second = flatbuffer.parse(content), flatbuffer.parse(dense(4)[0]).subgraphs[0]
    model.subgraphs.append(second)  # its constant is that of the first
    model.signatureDefs[0].signatureKey = b"batch_1"
    files.sign(model, "batch_4", 1)
    return flatbuffer.inline(model), w


def test_a_batch_of_another_size_is_run_in_pieces(tmp_path: Path) -> None:
    content, w = two_batches()
    session = tflite_runtime.load(written(tmp_path, content), ())
    assert session.batches == (1, 4)
    for rows in (1, 4, 9, 2):
        x = np.random.default_rng(rows).standard_normal((rows, DEEP)).astype(np.float32)
        np.testing.assert_allclose(session.run([x])[0], x @ w.T, rtol=1e-4, atol=1e-4)


def test_a_signature_is_chosen_by_its_key(legacy: LegacyProcess, tmp_path: Path) -> None:
    content, w = two_batches()
    signatures = legacy.load(written(tmp_path, content))
    assert {key: each["inputs"][0]["shape"] for key, each in signatures.items()} == {
        "batch_1": [1, DEEP],
        "batch_4": [4, DEEP],
    }
    for rows in (4, 1, 4):
        x = np.random.default_rng(rows).standard_normal((rows, DEEP)).astype(np.float32)
        np.testing.assert_allclose(legacy.run([x], f"batch_{rows}")[0], x @ w.T, rtol=1e-4, atol=1e-4)
    with pytest.raises(DeployError, match="no signature 'batch_2'; the file has batch_1, batch_4"):
        legacy.run([x], "batch_2")


def test_wrong_inputs_are_refused_and_the_process_goes_on(legacy: LegacyProcess, tmp_path: Path) -> None:
    content, w = dense()
    legacy.load(written(tmp_path, content))
    x = np.ones((2, DEEP), np.float32)
    for wrong, said in (
        ([np.ones((2, DEEP + 1), np.float32)], r"input_0 is float32\[-1, 32\], not float32\[2, 33\]"),
        ([x.astype(np.float64)], "not float64"),
        ([x[0]], r"not float32\[32\]"),
        ([x, x], "2 inputs were given, the file takes 1"),
    ):
        with pytest.raises(DeployError, match=said):
            legacy.run(wrong)
        np.testing.assert_allclose(legacy.run([x])[0], x @ w.T, rtol=1e-4, atol=1e-4)


def test_what_is_no_model_is_refused(legacy: LegacyProcess, tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="no file is loaded"):
        legacy.run([])
    with pytest.raises(DeployError, match="does not load in tflite-runtime"):
        legacy.load(written(tmp_path, b"not a model"))
    with pytest.raises(DeployError, match=r"nowhere.tflite is not there"):
        tflite_runtime.load(tmp_path / "nowhere.tflite", ())


def test_a_session_runs_a_file(tmp_path: Path) -> None:
    content, w = dense()
    session = tflite_runtime.load(written(tmp_path, content), ())
    x = np.ones((3, DEEP), np.float32)
    np.testing.assert_allclose(session.run([x])[0], x @ w.T, rtol=1e-4, atol=1e-4)
    assert session.op_paths([x], ["deploypipe::lltm"]) == {"deploypipe::lltm": "decomposed"}


def test_threads_take_turns(legacy: LegacyProcess, tmp_path: Path) -> None:
    content, w = dense()
    legacy.load(written(tmp_path, content))
    right: list[bool] = []

    def work(rows: int) -> None:
        x = np.full((rows, DEEP), rows, np.float32)
        right.extend(np.allclose(legacy.run([x])[0], x @ w.T, rtol=1e-3, atol=1e-3) for _ in range(20))

    threads = [threading.Thread(target=work, args=(rows,)) for rows in (1, 2, 3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert right == [True] * 80


@pytest.mark.parametrize("how", [signal.SIGABRT, signal.SIGSEGV])
def test_a_crash_is_an_error_that_names_the_signal(legacy: LegacyProcess, tmp_path: Path, how: signal.Signals) -> None:
    legacy.load(written(tmp_path, dense()[0]))
    os.kill(legacy.pid, how)
    with pytest.raises(DeployError, match=rf"ended by {how.name}\. Build for the runtime litert"):
        legacy.run([np.ones((1, DEEP), np.float32)])
    assert gone(legacy.pid)
    with pytest.raises(DeployError, match="has ended"):
        legacy.probe()


def test_a_death_tells_the_last_line_on_the_error_output(
    legacy: LegacyProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    def garbage(stream: IO[bytes], message: Message) -> None:
        stream.write(struct.pack("<Q", 4) + b"oops")
        stream.flush()

    monkeypatch.setattr(legacy_process, "send", garbage)
    with pytest.raises(DeployError, match=r"ended with exit code 1: json\.decoder\.JSONDecodeError: .*line 1"):
        legacy.probe()


def test_a_large_request_to_a_dead_process_is_an_error(legacy: LegacyProcess, tmp_path: Path) -> None:
    legacy.load(written(tmp_path, dense()[0]))
    os.kill(legacy.pid, signal.SIGKILL)
    with pytest.raises(DeployError, match="ended by SIGKILL"):
        legacy.run([np.ones((100_000, DEEP), np.float32)])


def test_constants_may_lie_behind_the_flatbuffer(legacy: LegacyProcess, tmp_path: Path) -> None:
    content, w = dense()
    legacy.load(written(tmp_path, flatbuffer.write(flatbuffer.parse(content))))
    x = np.ones((2, DEEP), np.float32)
    np.testing.assert_allclose(legacy.run([x])[0], x @ w.T, rtol=1e-4, atol=1e-4)


def test_an_environment_without_packages_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="No module named 'tflite_runtime'"):
        LegacyProcess(Path(sys.executable)).probe()
    with pytest.raises(DeployError, match=r"cannot be started: No such file"):
        LegacyProcess(tmp_path / "python")


def test_the_process_ends_with_its_object() -> None:
    process = LegacyProcess(tflite_runtime.python())
    process.probe()
    pid = process.pid
    del process
    gc.collect()
    assert gone(pid)


def test_the_process_ends_when_its_parent_is_killed() -> None:
    parent = (
        "import os, signal\n"
        "from deploypipe.runtimes import tflite_runtime as runtime\n"
        "process = runtime.LegacyProcess(runtime.python())\n"
        "process.probe()\n"
        "print(process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", parent], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert gone(int(done.stdout))


def test_an_interrupted_question_leaves_no_half_answer(legacy: LegacyProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(stream: object) -> None:
        raise KeyboardInterrupt

    legacy.probe()
    monkeypatch.setattr(legacy_process, "receive", interrupted)
    with pytest.raises(KeyboardInterrupt):
        legacy.probe()
    assert gone(legacy.pid)
    with pytest.raises(DeployError, match="has ended"):
        legacy.probe()
