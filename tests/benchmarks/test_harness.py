"""Rows are kept one by one and measured once; intervals are those worked out by hand."""

import sys

import pytest

from benchmarks.harness import bootstrap, compare, kendall, measure, publish, student, table


def counting(done, numbers=range(3)):
    return [(str(n), lambda n=n: done.append(n) or {"number": n}) for n in numbers]


def test_a_stopped_measurement_goes_on(tmp_path):
    done, heard, file = [], [], tmp_path / "rows" / "counting.jsonl"
    rows = measure(file, counting(done), heard.append)
    assert rows == [{"number": n} for n in range(3)]
    assert (done, heard) == ([0, 1, 2], ["counting 0", "counting 1", "counting 2"])
    lines = [line for line in file.read_text().splitlines() if line]
    file.write_text(lines[0] + "\n" + lines[2][:5])  # the second is missing, the third cut off
    assert measure(file, counting(done), more=False) == rows[:1]
    assert done == [0, 1, 2]
    assert measure(file, counting(done), heard.append) == rows
    assert done == [0, 1, 2, 1, 2]
    assert measure(file, counting(done), heard.append) == rows
    assert len(heard) == len(done) == 5


def test_a_t_interval_by_hand():
    # mean 2, standard deviation 1, t(0.975, 2) = 4.3027: 4.3027 / sqrt(3)
    assert student([1.0, 2.0, 3.0]) == pytest.approx((2.0, 2.4842), abs=1e-4)
    assert student([5.0]) == (5.0, float("inf"))
    assert student([5.0, 5.0]) == (5.0, 0.0)


def test_a_bootstrap_interval_holds_the_mean_and_repeats_itself():
    low, high = bootstrap([0.1, 0.2, 0.3, 0.4])
    assert 0.1 <= low < 0.25 < high <= 0.4
    assert bootstrap([0.1, 0.2, 0.3, 0.4]) == (low, high)
    assert bootstrap([0.5] * 4) == (0.5, 0.5)


def test_a_bootstrap_interval_of_pairs_draws_them_together():
    rising = list(range(8))
    assert bootstrap(rising, rising, statistic=kendall) == (1.0, 1.0)
    swapped = [1, 0, *rising[2:]]  # one pair of 28
    assert kendall(rising, swapped) == pytest.approx(26 / 28)
    low, high = bootstrap(rising, swapped, statistic=kendall)
    assert low < 26 / 28 <= high <= 1


def test_a_difference_whose_interval_holds_zero_is_a_tie():
    assert compare([0.05] * 4) == "better (+5.0 to +5.0)"
    assert compare([-0.05] * 4) == "worse (-5.0 to -5.0)"
    assert compare([0.01, -0.01] * 4, " points").startswith("tie (-")


def test_a_table_sets_numbers_to_the_right():
    assert table(["name", "dB:"], [["one", 2]]) == [
        "| name | dB |",
        "| --- | ---: |",
        "| one | 2 |",
    ]


def test_a_section_replaces_only_its_older_self(tmp_path, capsys, monkeypatch):
    typed = ["benchmarks", "step", "--sizes", "15k", "--out", "x.md"]
    monkeypatch.setattr(sys, "argv", typed)
    file = tmp_path / "recipe.md"
    file.write_text("# Recipes\n\n## One\n\nold\n\n## Two\n\nkept\n")
    publish("## One", ["| new |"], file)
    command = "`python -m benchmarks step --sizes 15k`"
    assert file.read_text() == (f"# Recipes\n\n## One\n\n{command}\n\n| new |\n\n## Two\n\nkept\n")
    publish("## Three", ["| more |"], file)
    assert file.read_text().endswith(f"kept\n\n## Three\n\n{command}\n\n| more |\n")
    assert "| more |" in capsys.readouterr().out
    publish("## One", ["| first |"], tmp_path / "new" / "begun.md")
    assert (tmp_path / "new" / "begun.md").read_text().startswith("## One\n\n`python -m")
