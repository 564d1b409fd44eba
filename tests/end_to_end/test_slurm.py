"""The SLURM script on an allocation of one node: this machine, with the variables SLURM sets."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lightir_core.data.pack import write_pack
from lightir_core.data.tasks import parse_task
from results.study import Record
from tests.end_to_end.conftest import TINY

pytest.importorskip("ray", reason="the extra ray is not installed")

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "docs" / "cluster" / "slurm.sh"

ONE_NODE = {
    "SLURM_JOB_ID": "4711",
    "SLURM_JOB_NUM_NODES": "1",
    "SLURM_CPUS_PER_TASK": "1",
}

QUICK = (
    "--space", TINY, "--budget", "10k", "--steps", "3", "--finish-steps", "3",
    "--finalists", "1", "--trials", "2", "--device", "cpu",
)  # fmt: skip


@pytest.fixture
def scratch():
    # sockets are made in it: their paths may have a hundred characters, a test's folder has more
    folder = Path("/tmp") / f"lightir-{os.getpid()}"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_the_script_starts_ray_searches_and_cleans_up(scratch, folder_of_photographs, tmp_path):
    write_pack(parse_task("sr-x2"), folder_of_photographs, tmp_path / "photos.pack")
    run = tmp_path / "runs" / "mine"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
        **ONE_NODE,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "SCRATCH": str(scratch),
        "RUN": str(run),
        "DATA": str(tmp_path / "photos.pack"),
        "COLUMNS": "200",
    }

    def submit():
        return subprocess.run(
            ["bash", str(SCRIPT), *QUICK],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=400,
        )

    done = submit()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ready: 1 node, 1 CPUs, 0 GPUs" in done.stdout
    assert [trial.state for trial in Record.open(run).trials()] == ["finished"] * 2
    assert (run / "report" / "index.html").is_file()
    told = done.stdout + done.stderr + run.with_name("mine.ray-head.log").read_text()
    assert not re.search(r"\b[0-9a-f]{64}\b", told), "the token was printed"
    assert not (scratch / "lightir-mine").exists()
    again = submit()
    assert again.returncode == 0, again.stdout + again.stderr
    assert len(Record.open(run).trials()) == 2
    ps = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert str(scratch) not in ps.stdout, "processes of Ray were left behind"
