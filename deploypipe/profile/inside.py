"""What is measured of a bundle inside Python: its operators, and a server's scenarios."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from pydantic import TypeAdapter

from deploypipe.profile import parts
from deploypipe.profile.gathered import Gathered
from deploypipe.profile.journal import Journal
from deploypipe.profile.measuring import Tell, noted
from deploypipe.profile.receipt import Operators, Scenario

SCENARIOS = ("SingleStream", "Offline", "Server")
# The target whose bundles they are for.
SERVER = "server"
TRACES = "traces"

_OPERATORS, _SCENARIO = TypeAdapter(Operators), TypeAdapter(Scenario)


def measure(each: Gathered, known: Journal, out: Path, scenario_s: float, threads: int, tell: Tell) -> None:
    """Measures a bundle that runs on this machine, in fresh processes; what cannot be is noted.

    Args:
        each: The bundle, which takes what is found.
        known: What was measured before an interruption.
        out: Folder of the report; receives the traces.
        scenario_s: Seconds of each scenario; 0 leaves them out.
        threads: Of one run in them.
        tell: Is told what is done.
    """
    if not each.ready:
        return
    tell(f"operators of {each.name}")
    with noted(each, "operators"):
        each.operators = known.once(f"operators {each.name}", _OPERATORS, partial(_operators, each, out / TRACES))
    if each.subject.facts.target != SERVER or not scenario_s:
        return
    for scenario in SCENARIOS:
        tell(f"{scenario} of {each.name}")
        with noted(each, scenario):
            make = partial(parts.scenario, each.subject.path, scenario, scenario_s, threads)
            each.scenarios.append(known.once(f"{scenario} {each.name}", _SCENARIO, make))


def _operators(each: Gathered, traces: Path) -> Operators:
    traces.mkdir(exist_ok=True)
    found = parts.operators(each.subject.path, traces, each.name.replace("/", "-"))
    return found.model_copy(update={"trace": f"{TRACES}/{found.trace}" if found.trace else ""})
