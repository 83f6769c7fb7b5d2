"""How much is asked of a model: found with short tests, and asked again where LoadGen does not take the answer."""

from __future__ import annotations

from dataclasses import replace

from deploypipe.profile import loadgen
from deploypipe.profile.loadgen import Asked, Found, System

# A short Offline test tells how many samples a second takes; a little more is asked for, so that the test is not over
# too soon.
_TRIAL_S, _MORE = 0.3, 1.25
# Of the Server scenario: the share of what Offline answers that is tried first, by how much less is tried next, and how
# many of these short tests there are.
SHARE, LESS, _TRIALS = 0.5, 0.7, 12
_SHORT_S, _SHORT_QUERIES = 0.5, 100
# Of 100 queries one may be late; in a short test half of that, as LoadGen wants to be sure of it.
_LATE = 0.005
# So many queries make LoadGen sure when few are late; a model that takes longer for them is not asked for so many.
_SURE, _LONGEST_S = 662, 60.0
# Tests that count, of which the last one does.
_TESTS = 3


def offline(system: System, asked: Asked) -> Asked:
    """Returns what to ask in the Offline scenario: as many samples as take the time."""
    return replace(asked, per_second=_answers(system, asked) * _MORE)


def server(system: System, asked: Asked) -> Asked:
    """Returns what to send in the Server scenario: the most of what was tried that kept the bound in a short test.

    Args:
        system: What answers.
        asked: The scenario, its time and its bound.

    Returns:
        What kept the bound, or the least that was tried.
    """
    asked = _sent(asked, _answers(system, asked) * SHARE)
    for _ in range(_TRIALS):
        queries = round(max(_SHORT_QUERIES, asked.per_second * _SHORT_S))
        if loadgen.ask(system, replace(asked, seconds=_SHORT_S, queries=queries)).late <= _LATE:
            break
        asked = _sent(asked, asked.per_second * LESS)
    return asked


def judged(system: System, asked: Asked) -> tuple[Asked, Found]:
    """Runs the test that counts; where LoadGen calls it invalid, twice more with another rate.

    Returns:
        What was asked in the last test, and what came of it.
    """
    found = loadgen.ask(system, asked)
    for _ in range(_TESTS - 1):
        if found.valid:
            break
        asked = _other(asked, found)
        found = loadgen.ask(system, asked)
    return asked, found


def _answers(system: System, asked: Asked) -> float:
    """Returns how many samples are answered in a second when all are there at once."""
    return loadgen.ask(system, replace(asked, scenario="Offline", seconds=_TRIAL_S)).result


def _sent(asked: Asked, per_second: float) -> Asked:
    queries = round(min(_SURE, per_second * _LONGEST_S))
    return replace(asked, per_second=per_second, queries=max(queries, loadgen.FEWEST_QUERIES))


def _other(asked: Asked, found: Found) -> Asked:
    """Returns what to ask after a test that was over too soon, or whose bound did not hold."""
    if asked.scenario == "Server":
        return _sent(asked, asked.per_second * LESS)
    return replace(asked, per_second=max(asked.per_second, found.result) * _MORE)
