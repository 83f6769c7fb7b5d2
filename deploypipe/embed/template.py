"""The template of a project: files that are copied, files that are rendered, and where the bundle goes."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from deploypipe import templates

SETTINGS, RENDERED = "embed.toml", ".jinja"
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "node_modules", "build", ".*_cache")


class Settings(BaseModel):
    """The `embed.toml` of a template.

    Attributes:
        bundle: Place of the bundle in the project: a folder, or a file whose name ends in `.zip`.
        sources: Places in the project, and what of `csrc` goes there.
        headers: Place of the headers that a build of the SDK needs and that do not come with it, or None.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    bundle: str
    sources: dict[str, str] = {}
    headers: str | None = None


def settings(template: Path) -> Settings:
    """Returns the settings of a template."""
    return Settings.model_validate(tomllib.loads((template / SETTINGS).read_text()))


def render(template: Path, words: Mapping[str, Any], place: Path) -> None:
    """Writes the files of a template into a new folder.

    Args:
        template: Its folder.
        words: What the files that end in `.jinja` may name.
        place: The folder to make.
    """
    shutil.copytree(template, place, ignore=_LEFT_OUT)
    (place / SETTINGS).unlink()
    environment = templates.environment(place)
    for path in sorted(place.rglob(f"*{RENDERED}")):
        text = environment.get_template(path.relative_to(place).as_posix()).render(words)
        path.with_suffix("").write_text(text)
        path.with_suffix("").chmod(path.stat().st_mode)
        path.unlink()
