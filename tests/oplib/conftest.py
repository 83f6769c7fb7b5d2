"""One user's op library for all tests of this folder, since a build takes most of their time."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploypipe.oplib import skeleton


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a library as `deploypipe ops new` writes it."""
    home = tmp_path_factory.mktemp("user")
    skeleton.write("leaky_clip", home)
    return home / "leaky_clip"
