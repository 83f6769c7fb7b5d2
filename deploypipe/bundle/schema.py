"""The JSON Schema of the manifest, for readers in other languages: `python -m deploypipe.bundle.schema`."""

from __future__ import annotations

import json
from pathlib import Path

from deploypipe.bundle.manifest import Manifest

PATH = Path(__file__).with_name("manifest.schema.json")


def text() -> str:
    """Returns the schema as it stands in the file beside this one."""
    schema = Manifest.model_json_schema(by_alias=True, mode="serialization")
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, indent=2) + "\n"


if __name__ == "__main__":
    PATH.write_text(text())
