"""Nodes that differ, lack data or do not answer."""

import time

import pytest

pytest.importorskip("ray", reason="the extra ray is not installed")

from lightir_core.data.image_source import ImageSource
from lightir_core.data.pack import fingerprint, packed_checksum, write_pack
from lightir_core.data.tasks import parse_task
from lightir_core.errors import DataError, SearchError
from search.engines.ray_nodes import (
    NodeReport,
    check_versions,
    inspect_nodes,
    look,
    usable_nodes,
    versions_here,
)


def node(name, cpus=4.0, gpus=0.0, **other):
    return NodeReport(id=name, name=name, address="10.0.0.1", cpus=cpus, gpus=gpus, **other)


def test_a_fingerprint_counts_files_and_bytes_at_any_depth(tmp_path):
    assert fingerprint(tmp_path / "nowhere") == "missing"
    (tmp_path / "lq").mkdir()
    (tmp_path / "lq/a.png").write_bytes(b"12345")
    assert fingerprint(tmp_path) == "1 file of 5 bytes"
    (tmp_path / "b.png").write_bytes(b"x" * 2000)
    assert fingerprint(tmp_path) == "2 files of 2,005 bytes"
    assert fingerprint(tmp_path / "b.png") == "1 file of 2,000 bytes"


def test_the_fingerprint_of_a_pack_is_its_checksum(tmp_path, folder_of_photographs):
    pack = tmp_path / "photos.pack"
    write_pack(parse_task("sr-x2"), folder_of_photographs, pack)
    size, made = pack.stat().st_size, packed_checksum(pack)
    assert fingerprint(pack) == f"a pack of {size:,} bytes, {made[:12]}"


def test_a_pack_that_was_copied_in_part_is_told(tmp_path, folder_of_photographs):
    pack = tmp_path / "photos.pack"
    write_pack(parse_task("sr-x2"), folder_of_photographs, pack)
    pack.write_bytes(pack.read_bytes()[:-10])
    with pytest.raises(DataError, match=r"photos.pack: the pack is damaged or cut short"):
        look({pack: "a pack of 123 bytes"}, None, None)


def test_all_paths_of_a_source_are_looked_at(tmp_path):
    source = ImageSource(task=parse_task("sr-x2"), data=("photos:2", "scans"), val="Set5")
    assert [str(path) for path in source.paths] == ["photos", "scans", "Set5"]
    assert ImageSource(task=parse_task("sr-x2")).paths == ()


def test_a_node_tells_what_it_does_not_see(tmp_path):
    (tmp_path / "a.png").write_bytes(b"12345")
    seen = {
        tmp_path: "1 file of 5 bytes",
        tmp_path / "a.png": "1 file of 7 bytes",
        tmp_path / "b": "1 file of 3 bytes",
    }
    facts = look(seen, tmp_path / "sign", lambda: 0.5)
    assert facts["missing"] == (
        f"{tmp_path}/a.png holds 1 file of 5 bytes, not 1 file of 7 bytes",
        f"{tmp_path}/b is missing",
        f"the run folder {tmp_path} is not shared with it; put it on a disk that all nodes see, "
        "or give --storage",
    )
    assert facts["versions"] == versions_here()
    assert facts["step_seconds"] == 0.5


def test_nodes_without_the_data_are_left_out_by_name():
    reports = [node("a"), node("b", missing=("/data is missing",)), node("c", error="silent")]
    usable, notes = usable_nodes(reports)
    assert [report.name for report in usable] == ["a"]
    assert notes == ("node b is left out: /data is missing", "node c is left out: silent")
    with pytest.raises(SearchError, match="no node can train: node b is left out: /data is miss"):
        usable_nodes(reports[1:])


def test_versions_that_differ_are_refused_with_the_names_of_the_nodes():
    here = versions_here()
    cuda = {**here, "torch": here["torch"].partition("+")[0] + "+cu130"}
    check_versions([node("a", versions=here), node("b", versions=cuda), node("c", error="silent")])
    old = {**here, "torch": "2.9.1"}
    with pytest.raises(SearchError, match=r"b has torch 2\.9\.1; here it is torch 2\.\d+\.\d+"):
        check_versions([node("a", versions=here), node("b", versions=old)])
    edited = {**here, "lightir": here["lightir"][:-1] + "?"}
    with pytest.raises(SearchError, match=r"b has lightir .*\?; here it is lightir"):
        check_versions([node("b", versions=edited)])


@pytest.mark.parametrize(
    ("cpus", "gpus", "expected"),
    [(1, 0, 4 + 8), (3, 0, 1 + 2), (1, 1, 2), (1, 0.5, 4), (1, 0.6, 2), (0, 0.25, 8), (1, 4, 0)],
)
def test_trainings_that_fit_at_once(cpus, gpus, expected):
    nodes = [node("a", 4), node("b", 8, 2)]
    assert sum(each.capacity(cpus, gpus) for each in nodes) == expected


@pytest.mark.slow
@pytest.mark.usefixtures("ray_here")
def test_living_nodes_answer_for_themselves(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    [report] = inspect_nodes(
        ImageSource(task=parse_task("sr-x2"), data=(str(photos),)),
        tmp_path / "run",
        step=time.perf_counter,
    )
    assert (report.cpus, report.gpus, report.missing, report.error) == (8, 0, (), None)
    assert report.versions == versions_here()
    assert report.step_seconds > 0
    check_versions([report])
    assert not (tmp_path / "run").exists()
