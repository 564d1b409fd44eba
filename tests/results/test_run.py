import json

import pytest

from lightir_core.errors import ResultsError
from results.run import RunFolder, read_config, write_atomic, write_config


def test_config_reads_back_with_its_format(tmp_path):
    write_config(tmp_path, {"command": "python -m search run", "config": {"seed": 3}})
    config = read_config(tmp_path)
    assert config["command"] == "python -m search run"
    assert (config["format"], config["version"]) == ("lightir-run", 1)


def test_paths_are_those_of_the_design(tmp_path):
    run = RunFolder(tmp_path)
    paths = [run.config, run.journal, run.checkpoints, run.model("ab12"), run.report]
    assert [str(p.relative_to(tmp_path)) for p in (*paths, run.pareto("csv"))] == [
        "config.json", "study.journal", "checkpoints", "models/ab12", "report/index.html",
        "pareto.csv",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"has no config.json \(the configuration of a run\)"),
        ("{", "is not JSON"),
        ("[1]", "holds a list, expected an object"),
        ("{}", "expected format 'lightir-run'"),
        ('{"format": "lightir-run", "version": 2}', "reads version 1; update LightIR"),
    ],
)
def test_a_wrong_config_is_named(tmp_path, content, message):
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(ResultsError, match=message):
        read_config(tmp_path)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    write_atomic(tmp_path / "a.json", "old")
    write_atomic(tmp_path / "deep" / "b.bin", b"\x00\x01")
    assert (tmp_path / "deep" / "b.bin").read_bytes() == b"\x00\x01"
    (tmp_path / "folder").mkdir()
    with pytest.raises(ResultsError, match=r"cannot write .*folder: Is a directory"):
        write_atomic(tmp_path / "folder", "new")
    with pytest.raises(ResultsError, match=r"cannot write .*: File exists"):
        write_atomic(tmp_path / "a.json" / "x", "new")
    assert (tmp_path / "a.json").read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.json", "deep", "folder"]


def test_config_is_readable_by_others(tmp_path):
    write_config(tmp_path, {})
    assert RunFolder(tmp_path).config.stat().st_mode & 0o777 == 0o644
    assert json.loads(RunFolder(tmp_path).config.read_text())
