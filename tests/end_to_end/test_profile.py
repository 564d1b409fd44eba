"""`profile` and `cost` with budgets in every form, as a user calls them."""

import json

import pytest

from budgets.budget import Size
from budgets.price import price
from lightir_core.published.presets import preset


def test_a_share_of_a_preset_at_several_sizes(in_process):
    ended = in_process(
        *("profile", "--space", "small", "--only", "width=24,32", "--only", "window=4x4,8x8"),
        *("--budget", "macs=10%@grformer", "--at", "64x64", "--at", "96x48", "--json"),
    )
    assert ended.status == 0
    plain = json.loads(ended.out)
    # the larger of the two costs is what a preset has at several sizes
    macs = max(price(preset("grformer"), size).macs for size in (Size(64, 64), Size(48, 96)))
    assert plain["budget"] == {"macs": macs // 10}
    assert plain["at"] == ["96x48", "64x64"]
    assert plain["satisfiable"] is True
    assert 0 < plain["share"]["estimate"] < 1
    assert plain["fits"]["macs"]["largest"] <= macs // 10
    assert plain["presets"]["grformer"]["fits"] is False


def test_a_table_for_people(in_process):
    ended = in_process(
        "profile", "--space", "small", "--budget", "60k", "--fill", "5%", "--at", "64x64"
    )
    assert "exact" in ended.out
    assert "binds" in ended.out
    assert "grformer" in ended.out


def test_what_cannot_be_met(in_process):
    ended = in_process("profile", "--space", "small", "--budget", "10", "--at", "64x64")
    assert "cannot be met: nothing in the space fits" in ended.out


@pytest.mark.parametrize("at", [["320x180"], ["320x180", "160x96"]])
def test_cost_says_whether_a_budget_holds(in_process, at):
    sizes = [word for size in at for word in ("--at", size)]
    ended = in_process("cost", "compacter", *sizes, "--budget", "300k", "--json")
    plain = json.loads(ended.out)
    assert [found["at"] for found in plain["sizes"]] == at
    assert "params 392.7k is 30.91% over 300k" in plain["over"]
