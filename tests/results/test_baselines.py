import pytest

from lightir_core.errors import ResultsError
from results.baselines import Rival, read_rivals, write_rivals
from results.run import RunFolder

RIVAL = Rival(
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
    rivals = [RIVAL, Rival(name="drt", cost={"params": 1}, reason="loss is NaN")]
    write_rivals(tmp_path, rivals)
    assert read_rivals(tmp_path) == rivals


def test_a_run_without_them_has_none(tmp_path):
    assert read_rivals(tmp_path) == []


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
    RunFolder(tmp_path).rivals.write_text(text)
    with pytest.raises(ResultsError, match=match):
        read_rivals(tmp_path)
