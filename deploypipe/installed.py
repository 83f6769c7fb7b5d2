"""Which of the packages that an extra needs are installed, in the versions that pyproject.toml names."""

from __future__ import annotations

from importlib import metadata

from packaging.requirements import Requirement

from deploypipe.availability import Availability


def version(package: str) -> str | None:
    """Returns the installed version of a distribution, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def extra(name: str) -> Availability:
    """Tells whether an extra is installed in the versions that deploypipe was tested with."""
    cure = f"Run `pip install 'deploypipe[{name}]'`."
    for requirement in _requirements(name):
        found = version(requirement.name)
        if found is None:
            return Availability(False, f"{requirement.name} is not installed. {cure}")
        if not requirement.specifier.contains(found, prereleases=True):
            wanted = f"{requirement.name}{requirement.specifier}"
            return Availability(False, f"{requirement.name} {found} is installed, {wanted} is needed. {cure}")
    return Availability(True)


def _requirements(extra_name: str) -> list[Requirement]:
    lines = metadata.requires("deploypipe") or []
    found = [Requirement(line) for line in lines]
    return [each for each in found if each.marker and each.marker.evaluate({"extra": extra_name})]
