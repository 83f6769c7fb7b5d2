"""The runtimes as the rest of the project sees them."""

from __future__ import annotations

import re

import pytest

from deploypipe import native, runtimes
from deploypipe.errors import DeployError


@pytest.mark.parametrize("name", runtimes.NAMES)
def test_every_runtime_says_what_it_is(name: str) -> None:
    runtime = runtimes.get(name)
    assert name == runtime.NAME
    assert runtime.BINDING in native.BINDINGS
    assert runtime.PRECISIONS[0] == "fp32"
    assert re.fullmatch(r"model\.\w+", runtime.ARTIFACT)
    assert runtime.DESCRIPTION
    assert runtime.available().ok


def test_an_unknown_runtime_names_the_nearest() -> None:
    with pytest.raises(DeployError, match=r"no runtime 'executorc'. Did you mean 'executorch'\?"):
        runtimes.get("executorc")
