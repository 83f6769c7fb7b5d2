"""What bundles are called beside each other."""

from __future__ import annotations

from deploypipe.report import names

from . import changed

LLTM, SERVER, PHONE = (
    "lltm/server/onnxruntime-fp32",
    "gcwsnet/server/onnxruntime-fp32",
    "gcwsnet/mobile/litert-fp32-native",
)


def test_the_shortest_words_that_tell_bundles_of_a_model_apart() -> None:
    report = changed.report(changed.receipt(LLTM, 1e5), changed.receipt(SERVER, 1e5), changed.receipt(PHONE, 1e5))
    assert names.labels(report) == {LLTM: "onnxruntime fp32", SERVER: "onnxruntime fp32", PHONE: "litert fp32"}


def test_two_targets_with_the_same_runtime_are_named_with_their_target() -> None:
    first = changed.receipt(LLTM, 1e5)
    other = first.bundle.model_copy(update={"name": "lltm/laptop/onnxruntime-fp32", "target": "laptop"})
    report = changed.report(first, first.model_copy(update={"bundle": other}))
    assert list(names.labels(report).values()) == ["onnxruntime fp32 native server", "onnxruntime fp32 native laptop"]


def test_the_detail_says_what_the_label_does_not() -> None:
    bundle = changed.receipt(LLTM, 1e5).bundle
    assert names.detail(bundle, "onnxruntime fp32") == "server, native"
    assert names.detail(bundle, "onnxruntime fp32 native") == "server"
    assert names.detail(bundle, bundle.name) == ""
