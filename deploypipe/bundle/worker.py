"""The process that runs a bundle for `verify`: `python -I -m deploypipe.bundle.worker BUNDLE`.

It has the bundle and the runtime and nothing else: no model code, no op sources, no cache. A crash of a
kernel ends this process and becomes a verdict in the other one.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from deploypipe.bundle.clock import Span, samples
from deploypipe.bundle.frames import Frame, receive, send
from deploypipe.bundle.load import Model, load
from deploypipe.errors import DeployError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def main(bundle: Path) -> None:
    """Answers requests until the other side closes the pipe."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # runtimes print what they like on standard output
    requests = sys.stdin.buffer
    models: dict[bool, Model] = {}
    while (request := receive(requests)) is not None:
        _answer(bundle, models, request, answers)


def _answer(bundle: Path, models: dict[bool, Model], request: Frame, answers: IO[bytes]) -> None:
    try:
        native = bool(request.facts["native"])
        if native not in models:
            models[native] = load(bundle, native)
        send(answers, _serve(models[native], request))
    except DeployError as error:
        send(answers, Frame({"error": error.message, "cure": error.cure}))
    except Exception as error:
        send(answers, Frame({"error": f"{type(error).__name__}: {error}", "cure": ""}))


def _serve(model: Model, request: Frame) -> Frame:
    if request.facts["command"] == "time":
        return Frame({}, [_times(model, request)])
    if request.facts["command"] == "paths":
        return Frame({"paths": model.session.op_paths(request.arrays, request.facts["ops"])})
    return Frame({}, model(*request.arrays))


def _times(model: Model, request: Frame) -> Array:
    """Times the runtime alone: inputs are checked once, and are copied to where numpy puts arrays."""
    inputs = [array.copy() for array in request.arrays]
    model(*inputs)
    return samples(lambda: model.session.run(inputs), Span(**request.facts["span"]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
