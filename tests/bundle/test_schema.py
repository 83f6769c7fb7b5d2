"""The JSON Schema that is shipped is that of the manifest."""

from __future__ import annotations

from deploypipe.bundle import schema


def test_the_shipped_schema_is_current() -> None:
    """`python -m deploypipe.bundle.schema` writes it again."""
    assert schema.PATH.read_text() == schema.text()
