"""What a profile found, for people: one page, a text, and a comparison for CI."""

from deploypipe.report.files import write

__all__ = ["write"]
