"""The page: one file with all that it needs, which asks nothing of the network."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from deploypipe import templates
from deploypipe.report import charts
from deploypipe.report.overview import Overview

_FOLDER = Path(__file__).parent / "page"
_PLOTLY = "window.PlotlyConfig = {MathJaxConfig: 'local'};\n"


def render(overview: Overview) -> str:
    """Returns the page as HTML."""
    environment = templates.environment(_FOLDER).overlay(autoescape=True)
    environment.filters["json"] = _json
    scripts = (_plotly(), (_FOLDER / "page.js").read_text(encoding="utf-8"))
    text: str = environment.get_template("report.html.jinja").render(
        overview=overview,
        looks=charts.looks(overview.report, overview.labels),
        charts=charts,
        style=_marked((_FOLDER / "page.css").read_text(encoding="utf-8")),
        scripts=[_marked(script) for script in scripts],
        policy=_policy(scripts),
    )
    return text


def _marked(text: str) -> Any:
    """Our own text, which is not escaped."""
    import markupsafe

    return markupsafe.Markup(text)


def _json(value: Any) -> Any:
    """JSON that ends no script element, whatever its strings hold."""
    return _marked(json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"))


def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return _PLOTLY + str(get_plotlyjs())


def _policy(scripts: tuple[str, ...]) -> str:
    """Lets the browser run our scripts alone, and ask nothing of anyone."""
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'"
