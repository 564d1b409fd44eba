"""Distillation by the output and by attention maps of the stages."""

import math
from dataclasses import replace

import pytest
import torch

from lightir_core.learning.recipe import Recipe
from lightir_core.learning.step import Teacher, feature_distance, stage_outputs, teacher_outputs

QUICK = Recipe(name="quick", steps=4, batch=2, patch_px=8)


def test_attention_maps_by_hand():
    # energies (1, 0) and (3, 4): unit length (1, 0) and (0.6, 0.8); distance sqrt(0.16 + 0.64)
    mine = torch.tensor([1.0, 0.0]).view(1, 1, 1, 2)
    theirs = torch.tensor([3.0, 4.0]).sqrt().view(1, 1, 1, 2)
    assert feature_distance([mine], [theirs]).item() == pytest.approx(0.8**0.5)
    twice = feature_distance([mine, mine], [theirs, mine]).item()
    assert twice == pytest.approx(0.8**0.5)


def test_a_map_does_not_depend_on_the_number_of_channels_or_on_scale():
    x = torch.rand(2, 3, 4, 4)
    assert feature_distance([x], [torch.cat((x, x), dim=1)]).item() < 1e-6
    assert feature_distance([x], [5 * x]).item() < 1e-6


def test_stages_are_watched_only_inside_and_only_if_asked(built, attention):
    network = built(attention).eval()
    image = torch.rand(1, 3, 8, 8)
    with stage_outputs(network, True) as stages:
        network(image)
    assert [tuple(stage.shape) for stage in stages] == [(1, 16, 8, 8)]
    network(image)
    assert len(stages) == 1
    with stage_outputs(network, False) as none:
        network(image)
    assert none == []


def test_a_teacher_leaves_no_trace_in_gradients(built, attention):
    teacher = Teacher(network=built(attention).eval(), features=1.0)
    output, stages = teacher_outputs(teacher, torch.rand(1, 3, 8, 8))
    assert not output.requires_grad
    assert not any(stage.requires_grad for stage in stages)


def test_a_teacher_fades(built, attention):
    teacher = Teacher(network=built(attention).eval(), until=0.5)
    assert [teacher.share(progress) for progress in (0.0, 0.25, 0.5, 0.9)] == [1, 0.5, 0, 0]
    assert replace(teacher, until=math.inf).share(0.9) == 1


def test_features_of_a_wider_teacher_teach(trained, built, attention):
    wider = built(replace(attention, width=32), seed=5).eval().requires_grad_(False)
    student, _ = trained(attention, QUICK, teacher=Teacher(network=wider, weight=0.0, features=1.0))
    plain, _ = trained(attention, QUICK, teacher=Teacher(network=wider, weight=0.0))
    names = [n for n, p in student.named_parameters() if not torch.equal(p, plain.get_parameter(n))]
    assert any(name.startswith("stages") for name in names)
    image = torch.rand(4, 3, 16, 16)

    def distance(network):
        with (
            torch.no_grad(),
            stage_outputs(network, True) as mine,
            stage_outputs(wider, True) as theirs,
        ):
            network(image)
            wider(image)
        return feature_distance(mine, theirs).item()

    assert distance(student) < distance(plain)
