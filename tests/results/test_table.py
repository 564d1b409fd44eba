"""The table of trained networks: it comes back as it was saved, and a damaged one is refused."""

import json
import lzma
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lightir_core.errors import ResultsError
from results.table import FORMAT, TABLE, TrainedNetwork, load_table, save_table

ROOT = Path(__file__).parents[2]


@pytest.fixture
def networks(architecture):
    one = TrainedNetwork(
        index=7,
        origin="repeated",
        architecture=architecture,
        task="sr-x2",
        recipe="proxy",
        steps=400,
        batch=8,
        patch_px=16,
        seed=1984447792,
        params=77_732,
        macs=31_104_000_000,
        curve=((50, 31.4029), (400, 32.2065)),
        cpu_s=44.6,
        machine="a processor x1, torch 2",
        choices={"width": 40, "stage1.closing": "none"},
    )
    failed = replace(one, index=3, curve=(), reason="training failed: the loss became nan")
    again = replace(one, index=9, restart="diverged at step 60 with lr=0.001")
    return [one, failed, again]


@pytest.fixture
def table(networks, tmp_path):
    save_table(tmp_path / "table.json.xz", networks, ["T91", "Kodak24"])
    return tmp_path / "table.json.xz"


def rewritten(table, change):
    """The file with its plain content changed."""
    plain = json.loads(lzma.decompress(table.read_bytes()))
    table.write_bytes(lzma.compress(json.dumps(change(plain)).encode()))
    return table


def test_a_table_comes_back_in_the_order_of_its_indices(networks, table):
    one, failed, again = networks
    assert list(load_table(table)) == [failed, one, again]
    assert [network.is_diverged for network in load_table(table)] == [True, False, True]
    assert math.isnan(load_table(table)[0].score)
    assert load_table(table)[1].score == 32.2065


def test_the_same_trainings_make_the_same_bytes(networks, table, tmp_path):
    save_table(tmp_path / "again.xz", networks[::-1], ["T91", "Kodak24"])
    assert (tmp_path / "again.xz").read_bytes() == table.read_bytes()


def test_any_tool_reads_it_in_two_lines(table):
    with lzma.open(table) as file:
        plain = json.load(file)
    assert plain["images"] == ["T91", "Kodak24"]
    assert plain["networks"][1]["curve"] == [[50, 31.4029], [400, 32.2065]]


def test_a_table_that_is_not_there_is_refused_by_name(tmp_path):
    with pytest.raises(ResultsError, match=r"no table of trained networks .*none\.xz"):
        load_table(tmp_path / "none.xz")


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_table_that_was_cut_off_is_refused_by_name(table, share):
    whole = table.read_bytes()
    table.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ResultsError, match=r"table\.json\.xz is no whole table"):
        load_table(table)


def test_a_table_with_a_changed_byte_is_refused_by_name(table):
    whole = bytearray(table.read_bytes())
    whole[len(whole) // 2] ^= 1
    table.write_bytes(whole)
    with pytest.raises(ResultsError, match=r"table\.json\.xz is no whole table"):
        load_table(table)


def test_another_format_and_another_version_are_refused_by_name(table):
    with pytest.raises(ResultsError, match=r"table\.json\.xz is version 2 .* reads version 1"):
        load_table(rewritten(table, lambda plain: plain | {"version": 2}))
    for other in ([], {"format": "lightir-objective-table"}):
        with pytest.raises(ResultsError, match=f"expected format '{FORMAT}'"):
            load_table(rewritten(table, lambda _, other=other: other))


@pytest.mark.parametrize(
    "change",
    [{"seed": None, "colour": 1}, {"curve": 5}, {"curve": [["x", 1]]}, {"architecture": {}}],
)
def test_a_network_that_cannot_be_read_is_refused_by_the_name_of_the_file(table, change):
    def changed(plain):
        return plain | {"networks": [plain["networks"][0] | change]}

    with pytest.raises(ResultsError, match=r"table\.json\.xz holds a network that cannot be read"):
        load_table(rewritten(table, changed))


def test_a_folder_that_cannot_be_written_is_refused(networks, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ResultsError, match=r"cannot write .*table\.xz"):
        save_table(tmp_path / "file" / "table.xz", networks, [])


def test_the_table_that_ships_is_whole_and_small():
    networks = load_table()
    assert networks
    assert TABLE.stat().st_size < 2_000_000
    assert len({network.index for network in networks}) == len(networks)
    for network in networks:
        assert network.reason or network.curve[-1][0] == network.steps
        assert network.is_diverged or 20 < network.score < 50


def test_it_is_loaded_without_torch_in_two_lines():
    code = (
        "from results.table import load_table\n"
        "networks = load_table()\n"
        "import sys; print(len(networks) > 0, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout.split(), done.stderr) == (["True", "False"], "")
