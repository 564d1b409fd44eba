import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from budgets import price as cache
from budgets.budget import Cost, Size
from budgets.parts import Part
from budgets.price import CostCache, cost_cache, default_file, fingerprint, part_cost, trace_part
from lightir_core.architecture import BlockConfig, ResidualConvolutionConfig

ROOT = Path(__file__).parents[2]
PART = Part("block", BlockConfig(mixer=ResidualConvolutionConfig(hidden_dim=5)), 7)
SIZE = Size(9, 11)


def test_what_is_put_is_there_for_the_next_process(tmp_path):
    file = tmp_path / "new" / "costs.jsonl"
    CostCache(file).put("a", (1, 2))
    CostCache(file).put("b", (3,))
    assert CostCache(file).get("a") == (1, 2)
    assert CostCache(file).get("b") == (3,)
    assert CostCache(file).get("c") is None


def test_the_same_answer_is_written_once(tmp_path):
    file = tmp_path / "costs.jsonl"
    store = CostCache(file)
    store.put("a", (1, 2))
    size = file.stat().st_size
    store.put("a", (1, 2))
    CostCache(file).put("a", (1, 2))
    assert file.stat().st_size == size


def test_every_truncation_loses_records_but_never_changes_one(tmp_path):
    file = tmp_path / "costs.jsonl"
    store = CostCache(file)
    records = {"a": (1234567, 89), "b": (5,), "c": (10**15, 0)}
    for key, numbers in records.items():
        store.put(key, numbers)
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        cut = CostCache(file)
        for key, numbers in records.items():
            assert cut.get(key) in (None, numbers)
        cut.put("d", (7,))  # appended to the torn end
        again = CostCache(file)
        assert again.get("d") == (7,)
        assert all(again.get(key) in (None, numbers) for key, numbers in records.items())


def test_a_changed_digit_is_noticed(tmp_path):
    file = tmp_path / "costs.jsonl"
    CostCache(file).put("a", (1234, 89))
    file.write_text(file.read_text().replace("1234", "1334"))
    assert CostCache(file).get("a") is None


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x04\x95\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b'["a", [1, 2]]',
        b'["a", "12", 0]',
        b'[["a"], [1], 0]',
        b'["a", [1e999], 0]',
        b'["a", null, 0]',
        b"[" * 100_000,
        b'{"params": 1}\n' * 3,
    ],
)
def test_a_foreign_file_is_passed_over(tmp_path, content):
    file = tmp_path / "costs.jsonl"
    file.write_bytes(content)
    store = CostCache(file)
    assert store.get("a") is None
    store.put("a", (1,))
    assert CostCache(file).get("a") == (1,)


def test_a_place_that_cannot_be_written_leaves_the_memory_half(tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    store = CostCache(blocker / "costs.jsonl")
    store.put("a", (1,))
    assert store.get("a") == (1,)
    assert blocker.read_text() == "not a folder"


def test_a_folder_in_place_of_the_file(tmp_path):
    store = CostCache(tmp_path)
    store.put("a", (1,))
    assert store.get("a") == (1,)


def test_memory_alone(tmp_path):
    store = CostCache(None)
    store.put("a", (1,))
    assert store.get("a") == (1,)


WRITER = """
import sys
from pathlib import Path
from budgets.price import CostCache
store = CostCache(Path(sys.argv[1]))
for number in range(300):
    store.put(f"{sys.argv[2]}-{number}", (number, 10**12 + number))
    store.put(f"both-{number}", (number,))
"""


def test_two_processes_may_write_at_once(tmp_path):
    file = tmp_path / "costs.jsonl"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(file), name], cwd=ROOT)
        for name in ("one", "two")
    ]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
    store = CostCache(file)
    for number in range(300):
        assert store.get(f"one-{number}") == store.get(f"two-{number}") == (number, 10**12 + number)
        assert store.get(f"both-{number}") == (number,)
    assert all(json.loads(line) for line in file.read_bytes().splitlines() if line)


def test_the_file_lies_in_the_users_cache_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_file() == tmp_path / "lightir" / f"costs-{fingerprint()}.jsonl"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert default_file() == tmp_path / "home/.cache/lightir" / f"costs-{fingerprint()}.jsonl"


def test_another_source_or_torch_means_another_file(tmp_path, monkeypatch):
    def fresh():
        fingerprint.cache_clear()
        return fingerprint()

    before = fresh()
    try:
        assert fresh() == before
        monkeypatch.setattr(cache.torch, "__version__", "0.0")
        assert fresh() != before
        monkeypatch.undo()
        source = tmp_path / "block.py"
        source.write_text("x = 1")
        monkeypatch.setattr(cache, "_sources", lambda: [source])
        first = fresh()
        source.write_text("x = 2")
        assert len({before, first, fresh()}) == 3
    finally:
        monkeypatch.undo()
        fresh()


def test_the_fingerprint_covers_every_file_that_makes_a_part():
    names = {f"{file.parent.name}/{file.name}" for file in cache._sources()}
    blocks = {f"blocks/{f.name}" for f in (ROOT / "lightir_core/blocks").glob("*.py")}
    assert blocks <= names
    assert {"lightir_core/network.py", "budgets/trace.py"} <= names


def test_a_part_is_traced_once_and_then_read(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cost_cache.cache_clear()
    try:
        first = part_cost(PART, SIZE)
        assert first == trace_part(PART, SIZE) == Cost(9 * 2 * 35 + 12 + 14, 2 * 9 * 35 * 99)
        cost_cache.cache_clear()
        monkeypatch.setattr("budgets.price.trace_part", None)
        assert part_cost(PART, SIZE) == first
    finally:
        cost_cache.cache_clear()


def test_a_record_of_another_form_is_measured_again(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cost_cache.cache_clear()
    try:
        cost_cache().put(PART.key(SIZE), (1, 2, 3))
        assert part_cost(PART, SIZE) == trace_part(PART, SIZE)
    finally:
        cost_cache.cache_clear()


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_read_only_folder(tmp_path):
    tmp_path.chmod(0o500)
    store = CostCache(tmp_path / "costs.jsonl")
    store.put("a", (1,))
    assert store.get("a") == (1,)
