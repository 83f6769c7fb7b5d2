"""The runtimes as the rest of the project sees them."""

from __future__ import annotations

import re

import pytest

from deploypipe import native, runtimes
from deploypipe.errors import DeployError
from deploypipe.precision import PRECISIONS


@pytest.mark.parametrize("name", runtimes.NAMES)
def test_every_runtime_says_what_it_is(name: str) -> None:
    runtime = runtimes.get(name)
    assert name == runtime.NAME
    assert runtime.BINDING in native.BINDINGS
    assert runtime.PRECISIONS[0] == "fp32"
    assert re.fullmatch(r"model\.\w+", runtime.ARTIFACT)
    assert runtime.DESCRIPTION
    assert runtime.available().ok


@pytest.mark.parametrize("name", runtimes.NAMES)
def test_every_precision_is_offered_or_refused_with_a_reason(name: str) -> None:
    runtime = runtimes.get(name)
    assert sorted([*runtime.PRECISIONS, *runtime.REFUSED]) == sorted(PRECISIONS)
    for refusal in runtime.REFUSED.values():
        assert refusal.reason
        assert not refusal.reason.endswith(".")


@pytest.mark.parametrize("name", runtimes.NAMES)
def test_a_refused_precision_names_what_works_instead(name: str) -> None:
    for refusal in runtimes.get(name).REFUSED.values():
        precision, _, elsewhere = refusal.nearest.partition(" on ")
        assert precision in runtimes.get(elsewhere or name).PRECISIONS


def test_an_unknown_runtime_names_the_nearest() -> None:
    with pytest.raises(DeployError, match=r"no runtime 'executorc'. Did you mean 'executorch'\?"):
        runtimes.get("executorc")
