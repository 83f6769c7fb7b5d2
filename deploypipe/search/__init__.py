"""The search: the smallest form of a model that keeps its budgets on a target, and why it is that one."""

from deploypipe.search.goals import Goals
from deploypipe.search.run import compress
from deploypipe.search.settings import Settings

__all__ = ["Goals", "Settings", "compress"]
