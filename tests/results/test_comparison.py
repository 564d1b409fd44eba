import math

import pytest

from lightir_core.errors import ResultsError
from results.comparison import compare_runs
from results.objectives import Objective
from results.run import write_config
from results.study import Record


def test_runs_that_differ_by_their_seed_are_one_variant(six):
    comparison = compare_runs(six)
    assert [v.name for v in comparison.variants] == ["strategy=nsga2", "strategy=random"]
    assert [len(v.volumes) for v in comparison.variants] == [3, 3]
    for variant in comparison.variants:
        assert variant.low <= variant.mean <= variant.high


def test_equal_samples_differ_by_chance_only(six):
    """The same seeds made the same trials under both names."""
    (contest,) = compare_runs(six).contests
    assert contest.difference == 0
    assert contest.low <= 0 <= contest.high
    assert contest.p == pytest.approx(1)
    assert contest.verdict == "no difference beyond chance"


def test_hypervolumes_share_one_reference_point(six):
    comparison = compare_runs(six)
    for run in comparison.runs:
        shares = [share for _, share in run.history]
        assert shares == sorted(shares)
        assert 0 < shares[-1] <= 1
    alone = compare_runs(six[:2])
    assert alone.reference != comparison.reference or alone.runs[0].volume == pytest.approx(
        comparison.runs[0].volume
    )


def test_single_runs_get_no_verdict(six):
    (contest,) = compare_runs([six[0], six[3]]).contests
    assert math.isnan(contest.p)
    assert math.isnan(contest.low)
    assert contest.verdict == "needs 3 seeds on each side"


def test_a_clear_difference_is_found(make_run, tmp_path, architecture):
    """Three against three, wholly apart: U = 0, p = 2 / C(6, 3) = 0.1; four against four: 2/70."""
    kinds = (Objective(name="psnr_y", direction="maximise"),)
    runs = []
    for variant, base in (("a", 30.0), ("b", 33.0)):
        for seed in range(4):
            folder = tmp_path / f"{variant}{seed}"
            with Record.create(folder, kinds) as record:
                write_config(folder, {"config": {"strategy": variant, "seed": seed}})
                record.begin(0, architecture, {}, {"params": 1})
                record.finish(0, {"psnr_y": base + 0.01 * seed})
            runs.append(folder)
    (contest,) = compare_runs(runs).contests
    assert contest.p == pytest.approx(2 / 70)
    assert contest.verdict == "strategy=b is better"
    assert contest.high < 0


def test_what_cannot_be_compared_is_said(six, make_run, tmp_path, architecture):
    with pytest.raises(ResultsError, match=r"one run alone"):
        compare_runs(six[:1])
    other = tmp_path / "other"
    Record.create(other, (Objective(name="ssim_y", direction="maximise"),)).close()
    with pytest.raises(ResultsError, match=r"searched for psnr_y, macs, but .* for ssim_y"):
        compare_runs([six[0], other])
    empty = [tmp_path / "a", tmp_path / "b"]
    for folder in empty:
        Record.create(folder, (Objective(name="psnr_y", direction="maximise"),)).close()
    with pytest.raises(ResultsError, match=r"no trial of these runs has finished"):
        compare_runs(empty)
    task = make_run(tmp_path / "task", trials=3, models=False)
    write_config(task, {"config": {"task": "derain"}})
    with pytest.raises(ResultsError, match=r"restores sr-x2, but .* derain"):
        compare_runs([six[0], task])
