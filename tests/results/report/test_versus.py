import csv
import json

from results.comparison import rows
from results.report.versus import build_comparison, chart_of_runs

HOSTILE = "<script>alert(1)</script>"


def test_the_page_and_the_tables_say_the_same(six, tmp_path, read):
    comparison = build_comparison(six, tmp_path / "out")
    page = read((tmp_path / "out" / "index.html").read_text())
    assert page.problems == []
    assert len(page.ids) == len(set(page.ids))
    assert f"run {HOSTILE}" in page.text
    assert HOSTILE not in page.html
    assert "strategy=nsga2 against strategy=random" in page.text
    assert "no difference beyond chance" in page.text
    assert [x for x in page.links if not x.startswith(("#", "comparison.csv"))] == []
    with (tmp_path / "out" / "comparison.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [row["run"] for row in table] == [run.name for run in comparison.runs]
    assert float(table[0]["hypervolume"]) == comparison.runs[0].volume
    assert next(iter(rows(comparison)))["finished"] == 11
    assert "| strategy=nsga2 | 3 |" in (tmp_path / "out" / "comparison.md").read_text()


def test_every_run_has_its_colour_in_the_chart(six, tmp_path):
    comparison = build_comparison(six[:3], tmp_path / "out")
    chart = chart_of_runs(comparison)
    assert chart.groups == tuple(run.name for run in comparison.runs)
    counts = [sum(point.group == group for point in chart.points) for group in range(3)]
    assert counts == [len(run.view.finished) for run in comparison.runs]
    assert all(point.href == "" for point in chart.points)
    assert json.loads(chart.to_json())["groups"] == list(chart.groups)
