"""What LoadGen is told to ask, of models whose answers are simulated."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from deploypipe.profile import loadgen, rates
from deploypipe.profile.loadgen import Asked, Found, Name, System

SYSTEM = System([[np.zeros((1, 3))]], lambda _: None, 8)
Tests = list[Asked]
Simulate = Callable[..., Tests]


def asked(scenario: Name, seconds: float = 3) -> Asked:
    return Asked(scenario, seconds, median_ns=1e6, per_second=1000, bound_ns=1e7)


def found(valid: bool = True, result: float = 2000, late: float = 0) -> Found:
    return Found(valid, result, "queries/s", late, 3.0, ())


@pytest.fixture
def simulate(monkeypatch: pytest.MonkeyPatch) -> Simulate:
    """Lets a function answer in LoadGen's place; gives what was asked."""

    def make(answer: Callable[[Asked], Found]) -> Tests:
        tests: Tests = []

        def ask(_: System, told: Asked) -> Found:
            tests.append(told)
            return answer(told)

        monkeypatch.setattr(loadgen, "ask", ask)
        return tests

    return make


def test_the_rate_of_a_server_falls_until_a_short_test_keeps_the_bound(simulate: Simulate) -> None:
    tests = simulate(lambda told: found(late=0.02 if told.per_second > 600 else 0.005))
    chosen = rates.server(SYSTEM, asked("Server"))
    assert [(test.scenario, round(test.per_second)) for test in tests] == [
        ("Offline", 1000),
        ("Server", 1000),
        ("Server", 700),
        ("Server", 490),
    ]
    assert chosen.per_second == tests[-1].per_second
    assert chosen.seconds == 3
    assert chosen.queries == 662, "fewer do not make LoadGen sure"


def test_a_short_test_of_a_slow_model_has_a_hundred_queries(simulate: Simulate) -> None:
    tests = simulate(lambda _: found(result=20))
    chosen = rates.server(SYSTEM, asked("Server"))
    assert tests[1].queries == 100
    assert chosen.queries == 10 * 60, "a minute of them"


def test_a_bound_that_is_never_kept_ends_the_search(simulate: Simulate) -> None:
    tests = simulate(lambda _: found(late=1))
    assert rates.server(SYSTEM, asked("Server")).per_second < 1000 * 0.02
    assert len(tests) == 1 + 12


def test_offline_is_asked_for_more_than_a_short_test_answered(simulate: Simulate) -> None:
    simulate(lambda _: found(result=4000))
    assert rates.offline(SYSTEM, asked("Offline")).per_second == 5000


def test_a_valid_test_is_the_only_one(simulate: Simulate) -> None:
    tests = simulate(lambda _: found())
    assert rates.judged(SYSTEM, asked("Server")) == (asked("Server"), found())
    assert len(tests) == 1


def test_a_server_that_is_invalid_is_sent_less(simulate: Simulate) -> None:
    tests = simulate(lambda told: found(valid=told.per_second < 600))
    told, answer = rates.judged(SYSTEM, asked("Server"))
    assert [round(test.per_second) for test in tests] == [1000, 700, 490]
    assert told == tests[-1]
    assert answer.valid


def test_offline_that_was_over_too_soon_is_asked_for_more(simulate: Simulate) -> None:
    tests = simulate(lambda told: found(valid=told.per_second > 2000, result=2000))
    assert rates.judged(SYSTEM, asked("Offline"))[1].valid
    assert [test.per_second for test in tests] == [1000, 2500]


def test_after_three_tests_the_last_one_counts(simulate: Simulate) -> None:
    tests = simulate(lambda _: found(valid=False))
    told, answer = rates.judged(SYSTEM, asked("Server"))
    assert len(tests) == 3
    assert told == tests[-1]
    assert not answer.valid
