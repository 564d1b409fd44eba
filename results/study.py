"""The record of one run: an Optuna study on a journal file, every trial with its whole story.

Optuna's own dashboard and plots work on it: one direction per objective, the choices of the
space as categorical parameters, everything else as user attributes. A trial costs two appends, one
when it begins and one when it ends, and one more for each rung that it reaches between; so a kill
leaves it either running or ended, never half.
One process writes (`results.journal.RunLock`); any number may read at the same time.
"""

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.storages import JournalStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from lightir_core.architecture import Architecture, from_plain
from lightir_core.errors import ArchitectureError, ResultsError
from lightir_core.learning.curve import Restart
from results.journal import Journal, RunLock, cut_torn_tail, drop_stale_lock
from results.objectives import Objective, objectives_from_plain, values_of
from results.trials import Choice, Trial, plain_curve, trial_from

JOURNAL = "study.journal"
LOCK = "run.lock"
HOLDER = "run.pid"
STUDY = "lightir"

_DIRECTIONS = {"maximise": StudyDirection.MAXIMIZE, "minimise": StudyDirection.MINIMIZE}


class Record:
    """The trials of one run folder, kept on disk.

    Use `create` or `open`; as a context manager, or `close` it, to let others write.
    """

    def __init__(self, folder: Path, lock: RunLock | None) -> None:
        """Read the journal in `folder`; `create` and `open` are the ways in."""
        self.folder = folder
        self._lock = lock
        self._journal = Journal(folder / JOURNAL)
        self._storage, self._study_id = _load(self._journal, folder)
        attributes = self._storage.get_study_user_attrs(self._study_id)
        self.objectives = objectives_from_plain(attributes["objectives"])
        self._space = {
            name: CategoricalDistribution(choices) for name, choices in attributes["space"].items()
        }
        self._count = self._storage.get_n_trials(self._study_id)
        self._read: dict[int, tuple[FrozenTrial, Trial]] = {}
        self._architectures: dict[str, Architecture] = {}

    @classmethod
    def create(
        cls,
        folder: Path,
        objectives: Sequence[Objective],
        space: Mapping[str, Sequence[Choice]] | None = None,
        *,
        prepare: Callable[[], None] | None = None,
    ) -> Self:
        """Start the record of a new run, held for writing.

        Args:
            folder: the run folder; made if it is not there.
            objectives: at least one, names distinct.
            space: every value that each dimension may take. Dimensions listed here become
                categorical parameters of the study, for Optuna's plots and importances.
            prepare: called when the folder is ours and before there is a journal in it, so that
                a folder with a journal is always prepared.

        Raises:
            ResultsError: the folder already holds a record, is in use or cannot be written.
        """
        if not objectives or len({o.name for o in objectives}) != len(objectives):
            names = [o.name for o in objectives]
            raise ResultsError(f"objectives {names} must be at least one, each named once")
        lock = RunLock(_made(folder) / LOCK)
        if (folder / JOURNAL).exists():
            lock.release()
            raise ResultsError(f"{folder} already holds a run; resume it or choose another folder")
        if prepare is not None:
            prepare()
        # Under another name until it is complete: a kill leaves no journal without a study.
        draft = folder / f"{JOURNAL}.new"
        draft.unlink(missing_ok=True)
        drop_stale_lock(draft)
        storage = JournalStorage(Journal(draft))
        with _quiet():
            study_id = storage.create_new_study(
                [_DIRECTIONS[o.direction] for o in objectives], STUDY
            )
        storage.set_study_system_attr(study_id, "study:metric_names", [o.name for o in objectives])
        plain_space = {name: list(values) for name, values in (space or {}).items()}
        storage.set_study_user_attr(study_id, "space", plain_space)
        storage.set_study_user_attr(study_id, "objectives", [o.to_plain() for o in objectives])
        draft.replace(folder / JOURNAL)
        return cls(folder, lock)

    @classmethod
    def open(cls, folder: Path, *, write: bool = False) -> Self:
        """Read the record of a run; with `write`, lock it, repair its end and go on with it.

        Raises:
            ResultsError: no such folder, no journal in it, a damaged journal, or with `write` a
                folder that is in use or cannot be written.
        """
        if not folder.is_dir():
            raise ResultsError(f"run folder {folder} does not exist; name one that a search made")
        if not (folder / JOURNAL).is_file():
            raise ResultsError(
                f"{folder} is not a run folder: {JOURNAL} is missing; name a folder that a "
                f"search made"
            )
        if not write:
            return cls(folder, None)
        lock = RunLock(folder / LOCK)
        try:
            drop_stale_lock(folder / JOURNAL)
            cut_torn_tail(folder / JOURNAL)
            return cls(folder, lock)
        except OSError as error:
            lock.release()
            raise ResultsError(f"cannot write to {folder / JOURNAL}: {error.strerror}") from error
        except ResultsError:
            lock.release()
            raise

    def close(self) -> None:
        """Let other processes write; reading goes on."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> Self:
        """Return the record itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the record."""
        self.close()

    def __len__(self) -> int:
        """Return how many trials were begun."""
        if self._lock is not None:
            return self._count  # nobody else writes
        return self._storage.get_n_trials(self._study_id)

    def begin(
        self,
        number: int,
        architecture: Architecture,
        choices: Mapping[str, Choice],
        cost: Mapping[str, int | float],
    ) -> None:
        """Write that a trial starts; a trial that a killed run left running may begin again.

        Raises:
            ResultsError: the number is not the next one and not that of a running trial of this
                very architecture, or the record is open for reading only.
        """
        self._check_writable()
        known = len(self)
        if number < known:
            self._check_running(number, architecture)
            return
        if number != known:
            raise ResultsError(f"trial {number} cannot begin: the next number is {known}")
        allowed = {name: space.choices for name, space in self._space.items()}
        listed = {name: value for name, value in choices.items() if value in allowed.get(name, ())}
        distributions: dict[str, BaseDistribution] = {name: self._space[name] for name in listed}
        attributes = {
            "architecture": architecture.to_plain(),
            "cost": dict(cost),
            "choices": {name: value for name, value in choices.items() if name not in listed},
        }
        template = create_trial(
            state=TrialState.RUNNING,
            params=listed,
            distributions=distributions,
            user_attrs={key: value for key, value in attributes.items() if value},
        )
        self._architectures[architecture.id] = architecture
        self._storage.create_new_trial(self._study_id, template)
        self._count += 1

    def report(
        self,
        number: int,
        step: int,
        scores: Mapping[str, float],
        curve: Sequence[tuple[int, float]] = (),
        seconds: float | None = None,
    ) -> None:
        """Write how a running trial stands at the rung after `step`, `seconds` since the last one.

        Raises:
            ResultsError: no such running trial.
        """
        trial = self._check_running(number)
        rungs = [*trial.rungs, (step, dict(scores))]
        self._write(number, {"rungs": rungs, "curve": plain_curve(curve)}, trial, seconds)

    def finish(
        self,
        number: int,
        values: Mapping[str, float],
        curve: Sequence[tuple[int, float]] = (),
        seconds: float | None = None,
    ) -> None:
        """Write that a running trial ended with these scores.

        Objectives that `values` lacks are taken from the trial's cost. A score that is not a
        finite number is a failure, recorded as such with its reason.

        Raises:
            ResultsError: no such running trial, or an objective without a value.
        """
        trial = self._check_running(number)
        point = values_of(self.objectives, values, trial.cost)
        for objective, value in zip(self.objectives, point, strict=True):
            if objective.name not in values and objective.name not in trial.cost:
                raise ResultsError(
                    f"trial {number} has no value for objective {objective.name!r}; "
                    f"got {sorted(values)}"
                )
            if not math.isfinite(value):
                self.fail(number, f"{objective.name} is {value}", curve=curve, seconds=seconds)
                return
        story = {"scores": dict(values), "curve": plain_curve(curve)}
        self._write(number, story, trial, seconds, TrialState.COMPLETE, point)

    def lose(self, number: int, losses: Sequence[str]) -> None:
        """Write where a worker was lost with a running trial, and how it went on.

        Raises:
            ResultsError: no such running trial.
        """
        trial = self._check_running(number)
        self._write(number, {"losses": [*trial.losses, *losses]}, trial, None)

    def restart(self, number: int, restart: Restart) -> None:
        """Write that the training of a running trial was begun again.

        Raises:
            ResultsError: no such running trial.
        """
        trial = self._check_running(number)
        self._write(number, {"restart": restart.to_plain()}, trial, None)

    def stop(self, number: int, reason: str) -> None:
        """Write that a running trial goes no further than the rung that it reached last, and why.

        Raises:
            ResultsError: no such running trial, or one that has reached no rung.
        """
        trial = self._check_running(number)
        if not trial.rungs:
            raise ResultsError(f"trial {number} has reached no rung that it could stop at")
        _, scores = trial.rungs[-1]
        point = values_of(self.objectives, scores, trial.cost)
        story = {"scores": dict(scores), "reason": reason}
        self._write(number, story, trial, None, TrialState.PRUNED, point)

    def fail(
        self,
        number: int,
        reason: str,
        *,
        curve: Sequence[tuple[int, float]] = (),
        seconds: float | None = None,
        memory: Mapping[str, int] | None = None,
    ) -> None:
        """Write that a running trial failed, and why; `memory` as in `Trial`.

        Raises:
            ResultsError: no such running trial.
        """
        trial = self._check_running(number)
        story = {"reason": reason, "curve": plain_curve(curve), "memory": dict(memory or {})}
        self._write(number, story, trial, seconds, TrialState.FAIL)

    def trials(self) -> list[Trial]:
        """Return all trials in order, those that another process wrote in the meantime included.

        Raises:
            ResultsError: a trial that was written by another program.
        """
        frozen = self._storage.get_all_trials(self._study_id, deepcopy=False)
        return [self._trial(trial) for trial in frozen]

    def trial(self, number: int) -> Trial:
        """Return one trial, whatever another process has made of it in the meantime.

        Raises:
            ResultsError: it was never begun, or was written by another program.
        """
        try:
            # One study in the journal: trial ids are trial numbers.
            return self._trial(self._storage.get_trial(number))
        except KeyError:
            raise ResultsError(f"trial {number} was never begun; there are {len(self)}") from None

    def _trial(self, frozen: FrozenTrial) -> Trial:
        # The storage replaces a changed trial by a new object, so identity tells what is new.
        known = self._read.get(frozen.number)
        if known is None or known[0] is not frozen:
            known = (frozen, self._convert(frozen))
            self._read[frozen.number] = known
        return known[1]

    def _convert(self, frozen: FrozenTrial) -> Trial:
        try:
            architecture = self._architecture(frozen)
        except ArchitectureError as error:
            raise ResultsError(
                f"trial {frozen.number} in {self.folder / JOURNAL} has no usable architecture: "
                f"{error}; it was not written by this LightIR"
            ) from None
        return trial_from(frozen, architecture)

    def _architecture(self, frozen: FrozenTrial) -> Architecture:
        known = self._read.get(frozen.number)
        if known is not None:
            return known[1].architecture
        architecture = from_plain(frozen.user_attrs.get("architecture"))
        return self._architectures.setdefault(architecture.id, architecture)

    def _check_writable(self) -> None:
        if self._lock is None:
            raise ResultsError(f"the record of {self.folder} is open for reading; use write=True")

    def _check_running(self, number: int, architecture: Architecture | None = None) -> Trial:
        self._check_writable()
        trial = self.trial(number)
        if trial.state != "running":
            raise ResultsError(f"trial {number} has already {trial.state}; take number {len(self)}")
        if architecture is not None and trial.architecture != architecture:
            raise ResultsError(
                f"trial {number} is running with architecture {trial.architecture.id}, "
                f"not {architecture.id}; begin it with its own architecture"
            )
        return trial

    def _write(
        self,
        number: int,
        story: Mapping[str, Any],
        trial: Trial,
        seconds: float | None,
        state: TrialState | None = None,
        values: Sequence[float] | None = None,
    ) -> None:
        """Write a part of a trial's story, and the end of it if there is a `state`."""
        if seconds is not None:
            story = {**story, "seconds": (trial.seconds or 0.0) + seconds}
        with self._journal.one_append():
            for key, value in story.items():
                if value not in (None, [], {}):
                    self._storage.set_trial_user_attr(number, key, value)
            if state is not None:
                self._storage.set_trial_state_values(number, state, values)


def is_unused(folder: Path, *besides: str) -> bool:
    """Return whether a folder holds nothing, or no more than a kill leaves before a run has begun.

    Args:
        folder: to look into.
        besides: names of files that may be there too.
    """
    leftovers = {LOCK, HOLDER, f"{JOURNAL}.new", f"{JOURNAL}.new.lock", *besides}
    return all(path.name in leftovers or path.name.startswith(".") for path in folder.iterdir())


def open_storage(folder: Path) -> JournalStorage:
    """Return the trials of a run as an Optuna storage, for Optuna's own tools.

    Raises:
        ResultsError: no such folder, no journal in it, or a damaged journal.
    """
    Record.open(folder)
    return JournalStorage(Journal(folder / JOURNAL))


def _load(journal: Journal, folder: Path) -> tuple[JournalStorage, int]:
    try:
        storage = JournalStorage(journal)
        study_id = storage.get_study_id_from_name(STUDY)
        missing = {"objectives", "space"} - storage.get_study_user_attrs(study_id).keys()
        if missing:
            raise KeyError(*missing)
    except OSError as error:
        raise ResultsError(f"cannot read {folder / JOURNAL}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
        raise ResultsError(
            f"{folder / JOURNAL} is damaged or not the journal of a LightIR run ({error!r:.200}); "
            f"restore it from a copy"
        ) from error
    return storage, study_id


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResultsError(
            f"cannot make run folder {folder}: {error.strerror}; choose another --out"
        ) from None
    return folder


@contextmanager
def _quiet() -> Generator[None]:
    """Silence Optuna, which announces each new study on stderr."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
