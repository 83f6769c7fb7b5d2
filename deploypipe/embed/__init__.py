"""A bundle inside an app: ready projects for C++, Python, the browser, Android and iOS."""

from deploypipe.embed.kinds import NAMES, Kind, get
from deploypipe.embed.project import Project, write

__all__ = ["NAMES", "Kind", "Project", "get", "write"]
