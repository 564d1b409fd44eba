"""A search whose candidates are not trained but scored by a proxy."""

import pytest

from results.models import load_results
from tests.end_to_end.conftest import QUICK


@pytest.mark.slow
def test_a_search_by_a_proxy_trains_the_chosen_from_fresh_weights(
    in_process, three_photographs, trials_of, tmp_path
):
    arguments = ("run", *QUICK, "--evaluator", "zero-cost:naswot", "--objectives", "psnr,params")
    ended = in_process(
        *arguments, "--trials", "9", "--data", three_photographs, "--out", "run", cwd=tmp_path
    )
    assert ended.status == 0, ended.err
    assert all(set(scores) == {"naswot"} for *_, scores, _, _ in trials_of(tmp_path / "run"))
    models = load_results(tmp_path / "run")
    [first, *_] = [model for model in models if model.kind != "pruned"]
    assert first.steps == 3 + 3  # those of a search, and those of a finalist
    assert "psnr_y" in first.scores
    report = (tmp_path / "run" / "report" / "index.html").read_text()
    assert "PSNR-Y (dB) against bicubic" in report
