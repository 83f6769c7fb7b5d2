"""The command line: exit 0 fine, 1 a verdict failed, 2 bad input or usage, 130 interrupted."""

from __future__ import annotations

import os
import sys

from deploypipe.errors import DeployError

INTERRUPTED = 130


def main() -> None:
    """Runs the command line; errors are one sentence and a cure, a traceback only with --debug."""
    from deploypipe.cli import app, view

    # Threads that spin while they wait make training many times slower on a machine that is busy.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    # Accepted anywhere on the line, as people add it to the end of a command that failed.
    view.debug = "--debug" in sys.argv
    sys.argv = [word for word in sys.argv if word != "--debug"]
    try:
        app.app()
    except DeployError as error:
        _stop(error, view.debug, error.exit_code, error.message, error.cure)
    except SystemExit as stop:
        if stop.code == INTERRUPTED:  # typer turns Ctrl-C into it, without a word
            view.error("Interrupted; nothing half-made was left behind", "")
        raise
    except Exception as error:
        text = f"Unexpected {type(error).__name__}: {error}"
        _stop(error, view.debug, 2, text, "Run it again with --debug and report the traceback.")


def _stop(error: BaseException, debug: bool, code: int, message: str, cure: str) -> None:
    from deploypipe.cli import view

    if debug:
        import traceback

        traceback.print_exception(error)
    view.error(message, cure)
    raise SystemExit(code)
