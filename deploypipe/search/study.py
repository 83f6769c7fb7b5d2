"""The trials of a search, chosen by Optuna and kept in SQLite, so that a search that was killed goes on.

What is tried next follows from the space, the seed and the results so far alone. The sampler sees only the size and
the points lost, which are the same on each run: one seed gives one list of settings, however noisy the machine, and
whether or not the search was interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from deploypipe.search.candidate import Candidate, Measured
from deploypipe.search.space import Space

if TYPE_CHECKING:
    import optuna

# Settings that are chosen together, to be measured side by side. It does not follow the number of workers, on which
# the choice would then depend.
BATCH = 4
# Proposals of a sampler for a batch, after which a space counts as exhausted.
PATIENCE = 48
RESULT = "measured"
# A setting without a bundle, as the sampler sees it: larger and worse than any other.
FAILED = (1e12, 100.0)


class Study:
    """A search over a space.

    Args:
        storage: The SQLite file.
        name: Of the study; one of another name in the same file has nothing to do with it.
        space: What can be set.
        seed: Of the sampler.
    """

    def __init__(self, storage: Path, name: str, space: Space, seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._space, self._seed = space, seed
        storage.parent.mkdir(parents=True, exist_ok=True)
        self._kept = _study(name, f"sqlite:///{storage.resolve()}")

    def points(self) -> list[Measured]:
        """Returns the results so far, in the order in which they were asked for."""
        trials = self._kept.get_trials(deepcopy=False)
        return [Measured.model_validate_json(trial.user_attrs[RESULT]) for trial in trials]

    def run(self, count: int, evaluate: Callable[[Sequence[Candidate]], Iterable[Measured]]) -> list[Measured]:
        """Runs trials until a number of settings has been measured or the space is exhausted.

        Args:
            count: Settings in all, those of an earlier run included.
            evaluate: Measures several settings and yields a result for each, in order.
        """
        while len(done := self.points()) < count:
            whole = len(done) // BATCH * BATCH
            batch = self._proposed(done[:whole])[len(done) - whole : count - whole]
            if not batch:
                break
            for point in evaluate(batch):
                self._kept.add_trial(_trial(self._space, point))
        return self.points()

    def _proposed(self, done: Sequence[Measured]) -> list[Candidate]:
        """Returns the settings to measure after some whole batches: those that come first, then the sampler's."""
        known = {point.candidate for point in done}
        found = dict.fromkeys(each for each in self._space.first() if each not in known)
        if len(found) < BATCH:
            found |= dict.fromkeys(self._sampled(done, BATCH - len(found), known | set(found)))
        return list(found)[:BATCH]

    def _sampled(self, done: Sequence[Measured], count: int, known: set[Candidate]) -> list[Candidate]:
        import optuna

        samplers, seed = optuna.samplers, self._seed + len(done)
        study = _study("sampler", None)
        study.add_trials([_trial(self._space, point) for point in done])
        found: dict[Candidate, None] = {}
        # Where a space is nearly exhausted, the first one proposes little but what it knows.
        for sampler in (samplers.TPESampler(seed=seed, n_startup_trials=1), samplers.RandomSampler(seed)):
            study.sampler = sampler
            for _ in range(PATIENCE):
                candidate = self._space.suggest(study.ask())
                if candidate not in known and len(found) < count:
                    found[candidate] = None
        return list(found)


def _study(name: str, storage: str | None) -> optuna.Study:
    import optuna

    directions = ["minimize", "minimize"]
    return optuna.create_study(storage=storage, study_name=name, directions=directions, load_if_exists=True)


def _trial(space: Space, point: Measured) -> optuna.trial.FrozenTrial:
    """Returns a result as Optuna keeps it."""
    import optuna

    parameters = space.parameters(point.candidate)
    return optuna.trial.create_trial(
        params=parameters,
        distributions={name: space.distributions()[name] for name in parameters},
        values=FAILED if point.failure else (point.size, point.drop),
        user_attrs={RESULT: point.model_dump_json()},
    )
