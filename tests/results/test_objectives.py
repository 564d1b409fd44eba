import math

import pytest

from lightir_core.errors import ResultsError
from results.objectives import Objective, minimised, objectives_from_plain, values_of

PSNR = Objective(name="psnr_y", direction="maximise", unit="dB", label="PSNR-Y")
MACS = Objective(name="macs", direction="minimise")


def test_plain_objectives_read_back_equal():
    assert objectives_from_plain([PSNR.to_plain(), MACS.to_plain()]) == (PSNR, MACS)


def test_labels_and_titles():
    assert PSNR.title == "PSNR-Y (dB)"
    assert MACS.title == MACS.label == "macs"


def test_values_come_from_scores_before_costs_and_are_nan_when_missing():
    assert values_of((PSNR, MACS), {"psnr_y": 30.0}, {"macs": 7, "psnr_y": 1.0}) == (30.0, 7.0)
    assert math.isnan(values_of((PSNR,), {}, {})[0])


def test_only_what_is_maximised_changes_its_sign():
    assert minimised((PSNR, MACS), (30.0, 7.0)) == (-30.0, 7.0)


def test_unknown_direction_and_empty_name_are_refused():
    with pytest.raises(ResultsError, match="direction 'up' is not known; write 'maximise'"):
        objectives_from_plain([{"name": "psnr_y", "direction": "up"}])
    with pytest.raises(ResultsError, match="empty name"):
        objectives_from_plain([{"direction": "minimise"}])
