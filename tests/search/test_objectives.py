from dataclasses import fields

import pytest

from budgets.budget import AXES
from budgets.cost import Cost
from lightir_core.data.tasks import TASKS, parse_task
from lightir_core.errors import SearchError
from results.objectives import COSTS
from search.objectives import METRICS, objectives, priced_axes


def test_psnr_is_the_tasks_own():
    [on_luma, macs] = objectives(("psnr", "macs"), parse_task("sr-x2"))
    assert (on_luma.name, on_luma.direction) == ("psnr_y", "maximise")
    assert (macs.name, macs.direction) == ("macs", "minimise")
    [on_colour] = objectives(("psnr",), parse_task("denoise"))
    assert on_colour.name == "psnr_rgb"


def test_a_proxy_stands_in_for_psnr():
    kinds = objectives(("psnr", "macs"), parse_task("denoise"), "zero-cost:naswot")
    assert [(kind.name, kind.label) for kind in kinds] == [("naswot", "NASWOT"), ("macs", "MACs")]
    plain = objectives(("psnr",), parse_task("denoise"), "bank:5")
    assert plain == objectives(("psnr",), parse_task("denoise"))


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_its_objective(task):
    [objective] = objectives(("psnr",), parse_task(task))
    assert objective.name == parse_task(task).metric


def test_names_are_those_of_scores_and_costs():
    assert all(name == objective.name for name, objective in METRICS.items())
    counted = {objective.name for objective in COSTS.values()}
    assert counted == {field.name for field in fields(Cost)}
    assert all(AXES[name].field == objective.name for name, objective in COSTS.items())


def test_costs_among_the_objectives_are_to_be_priced():
    assert priced_axes(("psnr", "latency", "memory")) == ("latency", "memory")
    assert priced_axes(("psnr",)) == ()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("psnr", "mac"), "objective 'mac' is not known; did you mean 'macs'"),
        (("",), "objective '' is not known; use psnr, params, macs"),
        ((), r"objectives \[\] must be at least one, each named once"),
        (("macs", "macs"), r"objectives \['macs', 'macs'\] must be at least one, each named once"),
    ],
)
def test_impossible_objectives(names, message):
    with pytest.raises(SearchError, match=message):
        objectives(names, parse_task("sr-x2"))
