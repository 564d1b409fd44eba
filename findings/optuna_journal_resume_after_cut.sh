#!/usr/bin/env bash
# SURPRISE
#   Optuna opens a journal whose last line was cut off (power failure, full disk) without complaint and
#   shows all finished trials, but the act of resuming destroys it: the next record is glued to the torn
#   half line, and one record later no trial can be read any more.
# VERSIONS
#   CPython 3.11.7, optuna 5.0.0, numpy 2.4.6
# EXPECTED
#   A log to which lines are only appended, and whose reader skips an unfinished last line, should be safe
#   to resume: cut the torn line, or end it, before the next append.  At worst the torn record is lost.
# SEEN
#   Loading works.  The first new trial raises AttributeError and its record is lost.  The second one
#   raises JSONDecodeError, and so does each load from then on.  Cutting the file back to its last
#   complete line before resuming avoids all of it.
#   Output:
#     torn     | 4 finished trials | AttributeError | 4 finished trials | JSONDecodeError | JSONDecodeError
#     cut back | 4 finished trials | one trial more | 5 finished trials | one trial more | 6 finished trials
#     as recorded
# INSTEAD
#   Before opening a journal that a killed process may have left, truncate it after its last newline
#   (under the lock, if other processes may be writing).
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check numpy==2.4.6 optuna==5.0.0
cd "$dir"
"$dir/venv/bin/python" - <<'PY'
import sys
import warnings
from pathlib import Path

import optuna
from optuna.samplers import RandomSampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

warnings.simplefilter("ignore")
optuna.logging.set_verbosity(optuna.logging.CRITICAL)
log = Path("study.log")


def storage():
    return JournalStorage(JournalFileBackend(str(log)))


def finished():
    study = optuna.load_study(study_name="search", storage=storage())
    return f"{sum(t.state.name == 'COMPLETE' for t in study.trials)} finished trials"


def resume():
    study = optuna.load_study(study_name="search", storage=storage(), sampler=RandomSampler(seed=1))
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    return "one trial more"


def attempt(what):
    try:
        return what()
    except Exception as error:
        return type(error).__name__


study = optuna.create_study(study_name="search", storage=storage(), sampler=RandomSampler(seed=0))
study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=5)
torn = log.read_bytes()[:-20]

seen = {}
for name, start in {
    "torn": torn,
    "cut back": torn[: torn.rindex(b"\n") + 1],
}.items():
    log.write_bytes(start)
    seen[name] = [attempt(step) for step in (finished, resume, finished, resume, finished)]
    print(f"{name:8}", *seen[name], sep=" | ")

recorded = {
    "torn": [
        "4 finished trials",
        "AttributeError",
        "4 finished trials",
        "JSONDecodeError",
        "JSONDecodeError",
    ],
    "cut back": [
        "4 finished trials",
        "one trial more",
        "5 finished trials",
        "one trial more",
        "6 finished trials",
    ],
}
print("as recorded" if seen == recorded else "CHANGED: resuming is not as recorded")
sys.exit(seen != recorded)
PY
