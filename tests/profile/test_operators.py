"""Where the time goes: events become sums and a trace, and every runtime's profiler sees the custom op."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import deploypipe
from deploypipe import ModelSpec, native
from deploypipe.errors import DeployError
from deploypipe.native import toolchain
from deploypipe.profile import operators
from deploypipe.profile.operators import litert, trace
from deploypipe.profile.operators.kernels import Call, milliseconds
from deploypipe.profile.operators.trace import Event, Inference, Recording
from deploypipe.profile.receipt import Operators
from deploypipe.runtimes.tflite.compiled import OpEvent
from deploypipe.tensors import load_cases

Build = Callable[[str], Path]

OP = "deploypipe::cws_dense"


def of(start: float, us: float, name: str = "Add") -> Event:
    return Event(name, "builtin", start, us)


def test_own_time_leaves_out_what_lies_within() -> None:
    loop, first, inner, second, after = of(0, 100), of(10, 30), of(15, 5), of(50, 20), of(100, 7)
    assert trace.own_times([loop, first, inner, second, after]) == [50, 25, 5, 20, 7]


def test_whole_microseconds_never_make_a_time_negative() -> None:
    assert trace.own_times([of(0, 2), of(0, 1), of(1, 2)]) == [0, 1, 2]


def test_operators_are_sums_of_calls_and_medians_of_inferences() -> None:
    inferences = [Inference(50, (of(0, us), of(20, us), of(40, 1, "Mul"))) for us in (3, 4, 900)]
    add, mul = trace.operators(inferences)
    assert (add.name, add.calls, add.ms) == ("Add", 2, 0.008)
    assert (mul.name, mul.calls, mul.ms) == ("Mul", 1, 0.001)


def test_an_operator_that_seldom_runs_takes_no_time_in_the_median() -> None:
    seldom = Inference(9, (of(0, 9),))
    (found,) = trace.operators([seldom, Inference(1, ()), Inference(1, ())])
    assert found.calls == pytest.approx(1 / 3)
    assert found.ms == 0


def test_a_trace_shows_the_first_inferences_one_after_the_other(tmp_path: Path) -> None:
    inferences = tuple(Inference(10, (of(2, 3),)) for _ in range(100))
    trace.write(Recording("a clock", inferences, ""), "lltm", tmp_path / "a.json")
    found = json.loads((tmp_path / "a.json").read_text())["traceEvents"]
    slices = [event for event in found if event["ph"] == "X"]
    assert [event["args"] for event in found if event["ph"] == "M"] == [{"name": "lltm"}]
    assert len(slices) == 2 * trace.SHOWN
    assert [(each["name"], each["ts"], each["dur"]) for each in slices[:4]] == [
        ("inference", 0, 10),
        ("Add", 2, 3),
        ("inference", 10, 10),
        ("Add", 12, 3),
    ]


def test_steps_of_a_delegate_lie_in_the_time_between_the_operators_around_them() -> None:
    """LiteRT notes no begin of a step, and no step that is shorter than a microsecond."""
    run = (
        OpEvent("LiteRT::Run[buffer registration]", "phase", 1000, 20),
        OpEvent("Invoke", "phase", 1030, 100),
        OpEvent("Sigmoid (NC)", "delegate", 0, 0),
        OpEvent("Fully Connected", "delegate", 0, 12),
        OpEvent("custom_call.deploypipe.cws_dense", "custom", 1050, 30),
        OpEvent("MUL", "op", 1081, 2),
        OpEvent("Add (ND)", "delegate", 0, 1),
        OpEvent("LiteRT::Run[Buffer sync]", "phase", 1135, 15),
    )
    inference = litert._inference(run)
    assert inference.us == 150
    assert [(each.name, each.kind, each.ms) for each in trace.operators([inference])] == [
        (litert.DELEGATE, "delegate", round((20 - 12 + 47 - 1) / 1e3, 6)),
        ("custom_call.deploypipe.cws_dense", "custom", 0.03),
        ("Fully Connected", "delegate", 0.012),
        ("MUL", "builtin", 0.002),
        ("Add (ND)", "delegate", 0.001),
        ("Sigmoid (NC)", "delegate", 0.0),
    ]


def test_tflite_runtime_tells_no_times() -> None:
    with pytest.raises(DeployError, match=r"tflite-runtime tells no times of single operators.*litert"):
        operators.profiler("tflite-runtime")


def test_an_op_of_a_library_that_is_not_loaded_is_not_timed_alone() -> None:
    with pytest.raises(DeployError, match="no op library 'theirs'"):
        milliseconds([Call("theirs::op", (), {})])


@pytest.fixture(scope="module")
def build(session_cache: Path, hashing: ModelSpec) -> Build:
    """Builds the model whose outputs are those of its one op, `index` and `t`."""

    def made(runtime: str) -> Path:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DEPLOYPIPE_CACHE", str(session_cache))
            out = session_cache.parent / "operators"
            return Path(deploypipe.build(hashing, out=out, runtimes=[runtime], decomposed=False)[0].path)

    return made


@pytest.mark.parametrize(
    "runtime",
    [
        "onnxruntime",
        "torchscript",
        pytest.param("litert", marks=pytest.mark.slow),
        pytest.param("executorch", marks=pytest.mark.slow),
        pytest.param("aotinductor", marks=pytest.mark.slow),
    ],
)
def test_the_custom_op_is_seen_and_called_alone(runtime: str, build: Build, tmp_path: Path) -> None:
    bundle = build(runtime)
    found = operators.profile(bundle, tmp_path, f"hashing/server/{runtime}")
    (custom,) = [each for each in found.operators if each.kind == "custom"]
    assert "cws_dense" in custom.name
    assert custom.calls == 1
    assert found.runs >= 5
    assert_adds_up(found)
    assert found.kernel_ms is not None
    assert found.kernel_ms > 0
    assert found.trace == f"hashing-server-{runtime}.trace.json"
    assert custom.name in {each["name"] for each in json.loads((tmp_path / found.trace).read_text())["traceEvents"]}
    assert_arguments_are_those_of_the_model(runtime, bundle)


def assert_adds_up(found: Operators) -> None:
    """Asserts that operators take no more than the inference; sums of medians are a little off."""
    assert found.total_ms > 0
    assert sum(each.ms for each in found.operators) <= 1.5 * found.total_ms
    assert [each.ms for each in found.operators] == sorted((each.ms for each in found.operators), reverse=True)


def assert_arguments_are_those_of_the_model(runtime: str, bundle: Path) -> None:
    """Asserts that the op, called without the runtime, gives what the model gave when it was built."""
    with deploypipe.load(bundle) as model:
        cases = load_cases(bundle / "golden.safetensors", model.manifest.inputs, model.manifest.outputs)
        for case in cases:
            (call,) = operators.profiler(runtime).calls(model, list(case.inputs.values()))
            outputs = called(call)
            assert call.op == OP
            for output, golden in zip(outputs, case.outputs.values(), strict=True):
                np.testing.assert_array_equal(output, golden)


def called(call: Call) -> tuple[np.ndarray[Any, Any], ...]:
    library = native.Standalone(native.library(toolchain.STANDALONE))
    return library.run(call.op.partition("::")[2], call.inputs, call.attributes)


def test_without_custom_ops_there_is_no_kernel_and_without_a_folder_no_trace(built_onnx: Path) -> None:
    found = operators.profile(built_onnx, None, "plain")
    assert (found.kernel_ms, found.trace) == (None, "")
    assert {each.kind for each in found.operators} == {"builtin"}
