import json
import random

import pytest

from benchmarks import table as tables
from benchmarks.table import SPACE, TABLE, points, read_table
from lightir_core.errors import SearchError


@pytest.fixture(scope="module")
def table():
    return read_table()


def test_every_point_is_there_once():
    found = list(points(SPACE))
    assert len(found) == SPACE.size == 216
    assert len({tuple(sorted(point.items())) for point in found}) == 216
    assert all(SPACE.complete(point, random.Random(0)) == point for point in found)


def test_the_table_holds_every_network_of_its_space(table):
    assert table.feasible.space == SPACE
    known = {table.feasible.candidate(point).architecture.id for point in points(SPACE)}
    assert known == set(table.entries)
    assert len(known) == 216


def test_scores_are_the_ends_of_curves_and_above_bicubic(table):
    for entry in table.entries.values():
        assert entry.scores == pytest.approx([curve[-1][1] for curve in entry.curves], abs=1e-4)
        assert [step for step, _ in entry.curves[0]] == [75, 150, 225, 300]
        assert 33.4 < entry.values[0] < 34.2


def test_the_file_is_small():
    assert TABLE.stat().st_size < 300_000


def test_another_file_is_refused(tmp_path):
    with pytest.raises(SearchError, match="cannot read the objective table"):
        read_table(tmp_path / "none.json")
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(SearchError, match="is not an objective table"):
        read_table(tmp_path / "other.json")


def test_networks_that_a_space_no_longer_makes_are_refused(tmp_path):
    plain = json.loads(TABLE.read_text())
    plain["networks"][5]["id"] = "0" * 12
    (tmp_path / "table.json").write_text(json.dumps(plain))
    with pytest.raises(SearchError, match="not 000000000000; train the table again"):
        read_table(tmp_path / "table.json")


@pytest.mark.slow
def test_a_table_is_trained_and_written(tmp_path, monkeypatch):
    """Two networks of it, a few steps each, by the code that trained all of it."""
    monkeypatch.setattr(tables, "STEPS", 4)
    monkeypatch.setattr(tables, "SPACE", SPACE.restrict({"width": (8,), "stages": (1,),
                        "mixer": ("convolution",)}))  # fmt: skip
    rows = tables.train_table(tmp_path)
    assert len(rows) == 2
    assert tables.train_table(tmp_path, more=False) == rows
    tables.write_table(tmp_path / "table.json", rows)
    kept = read_table(tmp_path / "table.json")
    assert [entry.scores for entry in kept.entries.values()] == [tuple(r["scores"]) for r in rows]
