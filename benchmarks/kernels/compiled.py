"""torch.compile as a peer at its best."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def compiled(form: Callable[..., Any]) -> Callable[..., Any]:
    """Compiles a function for fixed sizes and vector instructions."""
    import torch
    from torch._inductor import config

    # torch tries vector instructions out in a process of its own, which crashes where libtorch cannot be unloaded;
    # it would then compile for one number at a time. What the processor has is looked up all the same.
    config.cpp.vec_isa_ok = True
    made: Callable[..., Any] = torch.compile(form, dynamic=False)
    return made


class Stopwatch:
    """Measures how long compilations take, which no comparison counts."""

    def __init__(self) -> None:
        self._start = time.perf_counter()

    def note(self, work: str) -> str:
        """Returns a note for the reader."""
        from torch._inductor import cpu_vec_isa

        seconds = time.perf_counter() - self._start
        vectors = cpu_vec_isa.pick_vec_isa()
        return f"{work}: torch.compile took {seconds:.0f} s (less where its cache is warm), for {vectors}"
