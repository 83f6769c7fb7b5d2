"""The errors that a user sees: one sentence that says what is wrong, one that says what to do."""

from __future__ import annotations


class DeployError(Exception):
    """Bad input, a missing tool or a broken file; the command line exits with 2.

    Attributes:
        message: What is wrong, one sentence without a final full stop.
        cure: What the user can do about it, one sentence, or an empty string.
    """

    exit_code = 2

    def __init__(self, message: str, cure: str = "") -> None:
        super().__init__(f"{message}. {cure}" if cure else message)
        self.message = message
        self.cure = cure


class VerdictError(DeployError):
    """An artifact was made but does not do what the model does; the command line exits with 1."""

    exit_code = 1


def nearest(word: str, known: list[str]) -> str:
    """Returns a sentence naming the known word nearest to a wrong one, or listing all of them."""
    import difflib

    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"Did you mean '{close[0]}'?" if close else f"Known are: {', '.join(sorted(known))}."


def first_line(error: BaseException) -> str:
    """Returns the first line of an error's text, or its type when it has none."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
