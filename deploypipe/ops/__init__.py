"""The project's ops for PyTorch: modules, references, and `torch.ops.deploypipe.*`.

Importing this package builds the native torch library when it is not there yet, and loads it.
"""

from __future__ import annotations

from deploypipe import native
from deploypipe.oplib.load import attach, load
from deploypipe.oplib.registry import OpLibrary
from deploypipe.ops import cws, lltm, lltm_packed, square
from deploypipe.ops.cws import CWS, split_signs
from deploypipe.ops.lltm import LLTM, LLTMCell
from deploypipe.ops.square import Square

__all__ = ["CWS", "LIBRARY", "LLTM", "LLTMCell", "Square", "load", "split_signs"]

LIBRARY = attach(OpLibrary(native.PROJECT, (square.SPEC, lltm.SPEC, lltm_packed.SPEC, cws.SPEC)))
