"""Recovery, sparse training and the recipes."""

import pytest
import torch

from lightir_core.errors import SearchError
from lightir_core.pruning.channels import fold, units
from lightir_core.pruning.importance import loss_on
from lightir_core.pruning.recovery import (
    RECOVERY_RECIPES,
    Distillation,
    Recovery,
    group_lasso,
    recover,
)


def recovery(data, steps=4, score=lambda _: 0.0, **distillation):
    return Recovery(
        recipe=RECOVERY_RECIPES["quick"].lasting(steps),
        distillation=Distillation(**distillation),
        data=data,
        validate=score,
        device=torch.device("cpu"),
        seed=0,
    )


def test_recovery_stops_when_nothing_is_gained(trained, data, architectures):
    network, parent = (trained(architectures["mlp"], seed) for seed in (0, 1))
    before = {name: t.clone() for name, t in network.state_dict().items()}
    curve = recover(network, parent, recovery(data, steps=40))  # the score never rises
    patience = RECOVERY_RECIPES["quick"].patience
    assert len(curve) == 1 + patience
    assert curve[-1][0] < 40
    assert all(torch.equal(before[name], t) for name, t in network.state_dict().items())


def test_the_parent_is_not_trained(trained, data, architectures):
    network, parent = (trained(architectures["mlp"], seed) for seed in (0, 1))
    before = {name: t.clone() for name, t in parent.state_dict().items()}
    scores = iter(range(100))
    parent.requires_grad_(False)
    recover(network, parent, recovery(data, features=0.1, score=lambda _: next(scores)))
    assert all(torch.equal(before[name], t) for name, t in parent.state_dict().items())


@pytest.mark.parametrize("name", ["mlp", "grouped", "cascade", "cross-layer"])
def test_the_penalty_is_the_asked_share_of_the_loss(trained, data, architectures, name):

    network = fold(trained(architectures[name]))
    penalty = group_lasso(network, 0.25, data, seed=0)
    assert penalty(network).item() == pytest.approx(0.25 * loss_on(network, data, 0), rel=1e-4)


def test_sparse_training_makes_channels_fade(trained, data, architectures):
    parent = trained(architectures["mlp"]).requires_grad_(False)
    penalty = group_lasso(fold(trained(architectures["mlp"])), 3.0, data, seed=0)
    left = []
    for extra in (None, penalty):
        network, scores = fold(trained(architectures["mlp"])), iter(range(100))
        recover(
            network,
            parent,
            recovery(data, steps=30, score=lambda _, scores=scores: next(scores)),
            penalty=extra,
        )
        left.append(penalty(network).item())
    assert left[1] < left[0]


def test_the_penalty_reaches_every_unit(trained, data, architectures):
    network = fold(trained(architectures["some untied"]))
    group_lasso(network, 0.1, data, seed=0)(network).backward()
    assert len(units(network.architecture)) > 8
    untouched = [n for n, p in network.named_parameters() if p.grad is None]
    # bias tables belong to no channel but to heads, and the image's channels to none
    assert untouched == ["tail.last.bias"]


def test_no_share_is_refused(trained, data, architectures):
    with pytest.raises(SearchError, match=r"sparsity=0\.0; use a share of the loss above 0"):
        group_lasso(fold(trained(architectures["mlp"])), 0.0, data, seed=0)


def test_the_standard_recovery_takes_longer():
    assert RECOVERY_RECIPES["standard"].steps > RECOVERY_RECIPES["quick"].steps
