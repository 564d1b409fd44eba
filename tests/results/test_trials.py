import json
import math
from datetime import datetime

import pytest
from optuna.trial import TrialState, create_trial

from results.trials import plain_curve, trial_from


@pytest.mark.parametrize(
    ("stored", "state"),
    [
        (TrialState.RUNNING, "running"),
        (TrialState.WAITING, "running"),
        (TrialState.FAIL, "failed"),
        (TrialState.PRUNED, "stopped"),
    ],
)
def test_states_are_four(architecture, stored, state):
    assert trial_from(create_trial(state=stored), architecture).state == state


def test_a_trial_that_says_nothing_reads_as_empty(architecture):
    trial = trial_from(create_trial(value=1.0), architecture)
    assert trial.state == "finished"
    assert trial.choices == trial.cost == trial.scores == {}
    assert trial.curve == ()
    assert trial.seconds is trial.reason is None
    assert abs(trial.started - datetime.now().astimezone()).total_seconds() < 60


def test_curves_are_standard_json():
    plain = plain_curve([(10, 30.5), (20, math.nan), (30, math.inf)])
    assert json.loads(json.dumps(plain, allow_nan=False)) == [[10, 30.5], [20, None], [30, None]]
    stored = create_trial(value=1.0, user_attrs={"curve": plain})
    assert math.isnan(trial_from(stored, None).curve[1][1])
