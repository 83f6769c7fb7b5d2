"""A writer of flatbuffers in which equal vectors and texts stand once: shapes, scales and zero points repeat."""

from __future__ import annotations

from typing import Any

import flatbuffers


class SharingBuilder(flatbuffers.Builder):  # type: ignore[misc]
    """Gives the place of an equal vector of numpy or text that it has written already."""

    def __init__(self, size: int) -> None:
        """Reserves a size to begin with."""
        super().__init__(size)
        self._written: dict[Any, int] = {}

    def CreateNumpyVector(self, x: Any) -> int:  # noqa: N802 - it is called so there
        """Writes an array, or finds it."""
        return self._once((x.dtype.str, x.tobytes()), lambda: super(SharingBuilder, self).CreateNumpyVector(x))

    def CreateString(self, s: Any, *encoding: str) -> int:  # noqa: N802 - likewise
        """Writes a text, or finds it."""
        return self._once(s, lambda: super(SharingBuilder, self).CreateString(s, *encoding))

    def _once(self, key: Any, write: Any) -> int:
        if key not in self._written:
            self._written[key] = write()
        return self._written[key]
