import re

import pytest

from lightir_core.data.tasks import parse_task
from lightir_core.errors import ResultsError
from results.baselines import (
    Baseline,
    read_baselines,
    reference_points,
    reference_points_for,
    write_baselines,
)
from results.run import RunFolder

SYSTEM = Baseline(
    name="grformer",
    cost={"params": 780_936, "macs": 10**11},
    shrunk="0123456789ab",
    shrunk_cost={"params": 390_000, "macs": 5 * 10**10},
    scores={"psnr_y": 33.5},
    curve=((100, 33.1), (200, 33.5)),
    steps=200,
    seconds=12.5,
)


def test_what_is_written_reads_back(tmp_path):
    baselines = [SYSTEM, Baseline(name="drt", cost={"params": 1}, reason="loss is NaN")]
    write_baselines(tmp_path, baselines)
    assert read_baselines(tmp_path) == baselines


def test_a_run_without_them_has_none(tmp_path):
    assert read_baselines(tmp_path) == []


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('{"presets": [{"name": "x", "cost": {"params": "many"}}]}', r"0\.cost\.params"),
        ('{"presets": {"x": 1}}', r"valid list"),
        ("{}", r"valid list"),
        ("[]", r"expected an object"),
    ],
)
def test_a_damaged_file_is_an_error_that_names_the_place(tmp_path, text, match):
    RunFolder(tmp_path).presets.write_text(text)
    with pytest.raises(ResultsError, match=match):
        read_baselines(tmp_path)


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
