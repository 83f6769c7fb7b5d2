"""Loading op libraries into this process, each once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

from deploypipe import installed
from deploypipe.errors import DeployError, first_line


def load_libraries(libraries: Sequence[Path], package: str, load: Callable[[Path], object]) -> None:
    """Loads op libraries that are not loaded yet.

    Args:
        libraries: Their files.
        package: The runtime that they register with.
        load: Loads one of them.

    Raises:
        DeployError: A library cannot be loaded by the version of the runtime that is installed.
    """
    for library in libraries:
        _load(library.resolve(), package, load)


@functools.cache
def _load(library: Path, package: str, load: Callable[[Path], object]) -> None:
    try:
        load(library)
    except (OSError, RuntimeError) as error:
        version = installed.version(package)
        raise DeployError(
            f"The op library {library.name} does not load in {package} {version}: {first_line(error)}",
            f"Build the bundle again with the version of {package} that is installed here.",
        ) from error
