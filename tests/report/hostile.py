"""A report whose bundles, devices and runtimes try to be more than words."""

from __future__ import annotations

import json

from deploypipe.profile.receipt import Report

SCRIPT = "<script>ran=1</script>"
# Words of the synthetic report -> what stands there instead.
WORDS = {
    "lltm": SCRIPT,
    "gcwsnet": '"><img src=x onerror=ran=2>',
    "mlp": "{{ 7 * 7 }}</title>|`a`",
    "onnxruntime": "</script><script>ran=3</script>",
    "litert": "' onmouseover='ran=4",
    "pi5": "<b onclick=ran=5>pi5</b>",
    "native": "<!--",
    "Gemm": "</style><svg onload=ran=6>",
    "Intel": "\\u2028&lt;script&gt;",
    ".trace.json": "/../javascript:ran=7",
    "No route": "</li><a href=https://example.org>route</a>",
}


def report(harmless: Report) -> Report:
    """Returns the report with hostile words."""
    text = harmless.model_dump_json()
    for word, hostile in WORDS.items():
        text = text.replace(word, json.dumps(hostile)[1:-1])
    return Report.model_validate_json(text)
