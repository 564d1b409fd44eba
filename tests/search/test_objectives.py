from dataclasses import fields

import pytest

from budgets.budget import AXES, Cost
from lightir_core.data.tasks import TASKS, parse_task
from lightir_core.errors import SearchError
from lightir_core.learning.proxies import PROXIES
from results.objectives import COSTS
from search.objectives import (
    METRICS,
    PROXY_LABELS,
    TRAIN,
    Evaluator,
    objectives,
    parse_evaluator,
    priced_axes,
)


def test_psnr_is_the_tasks_own():
    [on_luma, macs] = objectives(("psnr", "macs"), parse_task("sr-x2"))
    assert (on_luma.name, on_luma.direction) == ("psnr_y", "maximise")
    assert (macs.name, macs.direction) == ("macs", "minimise")
    [on_colour] = objectives(("psnr",), parse_task("denoise"))
    assert on_colour.name == "psnr_rgb"


def test_a_proxy_stands_in_for_psnr():
    kinds = objectives(("psnr", "macs"), parse_task("denoise"), parse_evaluator("zero-cost:naswot"))
    assert [(kind.name, kind.label) for kind in kinds] == [("naswot", "NASWOT"), ("macs", "MACs")]
    plain = objectives(("psnr",), parse_task("denoise"), parse_evaluator("train"))
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


@pytest.mark.parametrize(
    ("text", "evaluator"),
    [
        ("train", TRAIN),
        ("zero-cost", Evaluator("zero-cost", "synflow")),
        *((f"zero-cost:{proxy}", Evaluator("zero-cost", proxy)) for proxy in PROXIES),
    ],
)
def test_evaluators_are_read(text, evaluator):
    assert parse_evaluator(text) == evaluator


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("trian", "did you mean 'train'"),
        ("zero-cost:synflo", "did you mean 'zero-cost:synflow'"),
        ("zero-cost:", "use one of train, zero-cost:synflow"),
        ("train:5", "did you mean 'train'"),
        ("", "use one of train"),
    ],
)
def test_other_evaluators_are_refused_with_the_nearest(text, hint):
    with pytest.raises(SearchError, match="is not known") as error:
        parse_evaluator(text)
    assert hint in str(error.value)


@pytest.mark.parametrize("text", ["bank", "bank:20", "bank:many"])
def test_the_weight_bank_is_refused_with_the_reason(text):
    with pytest.raises(SearchError, match=f"'{text}' was taken out: inherited weights did"):
        parse_evaluator(text)


def test_every_proxy_has_a_label():
    assert list(PROXY_LABELS) == list(PROXIES)
