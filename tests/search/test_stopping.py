import math

from results.objectives import Objective, minimised
from results.pareto import hypervolume
from search.loop import IdleTrials

PSNR = Objective(name="psnr_y", direction="maximise")
MACS = Objective(name="macs", direction="minimise")


def idle_after(values):
    idle_trials, idle = IdleTrials((PSNR, MACS)), []
    for point in values:
        idle_trials.observe(point)
        idle.append(idle_trials.count)
    return idle


def test_gain_is_what_makes_the_hypervolume_grow():
    values = [(30, 9), (31, 9), (31, 9), (29, 9), (30, 4), (30, 5), (28, 3), (31, 4), (32, 1)]
    points = [minimised((PSNR, MACS), point) for point in values]
    volumes = [hypervolume(points[: n + 1], (0.0, 10.0)) for n in range(len(points))]
    grew = [now > before for before, now in zip([0.0, *volumes], volumes, strict=False)]
    assert [idle == 0 for idle in idle_after(values)] == grew
    assert idle_after(values) == [0, 0, 1, 2, 0, 1, 0, 0, 0]


def test_failures_are_no_gain():
    assert idle_after([None, (30, 9), None, None, (math.nan, 1)]) == [1, 0, 1, 2, 3]
