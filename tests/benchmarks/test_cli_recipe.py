import sys

import pytest

from benchmarks.cli_recipe import publish


@pytest.fixture(autouse=True)
def as_typed(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["search", "bench", "step", "--sizes", "15k"])


def test_a_section_replaces_only_its_older_self(tmp_path, capsys):
    file = tmp_path / "recipe.md"
    file.write_text("# Recipes\n\n## One\n\nold\n\n## Two\n\nkept\n")
    publish("One", ["| new |"], file)
    text = file.read_text()
    assert text == (
        "# Recipes\n\n## One\n\n`python -m search bench step --sizes 15k`\n\n| new |\n"
        "\n## Two\n\nkept\n"
    )
    publish("Three", ["| more |"], file)
    assert file.read_text().startswith(text.rstrip())
    assert "## Three" in capsys.readouterr().out


def test_a_document_is_begun(tmp_path):
    publish("One", ["| new |"], tmp_path / "new.md")
    assert (tmp_path / "new.md").read_text().startswith("## One\n\n`python -m search bench")
