"""Text files made of templates: jinja2 as all of this project uses it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def environment(folder: Path) -> Any:
    """Returns a `jinja2.Environment` for the templates of a folder.

    A name that a template uses and is not given is an error, and lines that hold nothing but a tag leave none behind.
    The filter `quoted` makes a string in double quotes, so that no word of a manifest becomes more than a word.
    """
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["quoted"] = lambda word: json.dumps(word, ensure_ascii=False)
    return made
