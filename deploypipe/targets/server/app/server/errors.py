"""Requests that are refused."""

from __future__ import annotations


class RefusedError(Exception):
    """A request that gets no inference.

    Attributes:
        status: Of the HTTP answer.
    """

    def __init__(self, status: int, message: str, cure: str) -> None:
        super().__init__(f"{message}. {cure}")
        self.status = status
