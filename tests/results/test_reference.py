import re

import pytest

from lightir_core.data.tasks import parse_task
from results.reference import reference_points, reference_points_for


def test_every_row_names_its_source_its_counting_and_a_known_task():
    points = reference_points()
    assert len(points) > 50
    for point in points:
        assert point.network
        assert point.source
        assert point.counting
        assert point.scores
        assert "dB" in point.protocol
        assert parse_task(point.task)
        assert re.fullmatch(r"([\d.]+[KM])?", point.params)
        assert re.fullmatch(r"([\d.]+G)?", point.macs)


def test_no_network_stands_twice_in_one_task():
    keys = [(point.task, point.network) for point in reference_points()]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize(
    ("task", "tasks"),
    [
        ("sr-x2", {"sr-x2"}),
        ("sr-x2,gray", {"sr-x2"}),
        ("denoise:25", {"denoise:25"}),
        ("denoise:15-25", {"denoise:15", "denoise:25"}),
        ("denoise", set()),
        ("demosaic", set()),
        ("", set()),
        ("denoise:x", set()),
    ],
)
def test_a_task_gets_its_own_rows(task, tasks):
    assert {point.task for point in reference_points_for(task)} == tasks


def test_swinir_is_quoted_as_printed():
    # Liang et al., SwinIR, ICCVW 2021, table of lightweight super-resolution
    (swinir,) = [p for p in reference_points_for("sr-x2") if p.network == "SwinIR-light"]
    assert (swinir.params, swinir.macs) == ("878K", "195.6G")
    assert swinir.scores.startswith("Set5 38.14; Set14 33.86;")
