"""The commands and the Python that README.md and docs/ show: every flag is known, and they run."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import skimage.data
import typer
import yaml
from PIL import Image

from search.cli.app import COMMANDS, FIVE, app, load_command
from tests.end_to_end.conftest import TINY

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

# small settings for commands that the documents show at their real size
SMALL = {
    "LIGHTIR_SPACE": TINY, "LIGHTIR_TRIALS": "3", "LIGHTIR_GENERATION": "3",
    "LIGHTIR_STEPS": "3", "LIGHTIR_FINISH_STEPS": "3", "LIGHTIR_FINALISTS": "1",
    "LIGHTIR_TIME": "0", "LIGHTIR_BUDGET": "10k", "LIGHTIR_WORKERS": "1", "LIGHTIR_DEVICE": "cpu",
}  # fmt: skip


# the network that these settings find is small already
SMALLER = ("params=100k", "params=3500 --steps 3")


def blocks(path, language):
    text = path.read_text(encoding="utf-8")
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", text, re.M | re.S)


def commands(text):
    """The lines that call the program, comments and what stands behind a pipe left out."""
    lines = [line.partition(" #")[0] for line in text.splitlines()]
    parts = [part.strip() for line in lines for part in line.split("&&")]
    return [part for part in parts if re.match(r"\S*python -m search\b", part)]


SHOWN = [
    (path.name, line)
    for path in DOCUMENTS
    for text in blocks(path, "sh")
    for line in commands(text)
]
STARTERS = sorted((ROOT / "docs" / "cluster").iterdir())


def strings(value):
    """Every text in what a YAML file holds."""
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for part in inner for text in strings(part)]


def started(path):
    """The calls of the program in a script, or in the commands of a manifest."""
    text = path.read_text(encoding="utf-8")
    texts = strings(yaml.safe_load(text)) if path.suffix == ".yaml" else [text]
    joined = "\n".join(texts).replace("\\\n", " ")
    lines = (line for line in joined.splitlines() if not line.lstrip().startswith("#"))
    return [
        (path.name, f"python -m search {call}")
        for line in lines
        for call in re.findall(r"python -m search ([^;&|'>]+)", line)
    ]


SHOWN += [call for path in STARTERS for call in started(path)]
HELPS = [
    (name, line) for name, line in (("help", line) for _, line in FIVE) for line in commands(line)
]


def understood(line):
    """Parse a command line as the program does, without running it."""
    words = shlex.split(line)
    words = words[words.index("search") + 1 :]
    if not words or words[0].startswith("-"):
        command, inner = typer.main.get_command(app), None
    else:
        assert words[0] in COMMANDS, f"no command {words[0]!r} in: {line}"
        command = load_command(words.pop(0))
        inner = getattr(command, "commands", None)
    if inner:
        assert words[0] in inner, f"no command {words[0]!r} in: {line}"
        command = inner[words.pop(0)]
    command.make_parser(command.context_class(command)).parse_args(words)


@pytest.mark.parametrize(("name", "line"), SHOWN + HELPS)
def test_every_command_that_is_shown_is_understood(name, line):
    understood(line)


def test_an_unknown_flag_would_be_found():
    with pytest.raises(Exception, match="No such option: --bugdet"):
        understood("python -m search run --bugdet 400k")


def subcommands():
    for name in COMMANDS:
        inner = getattr(load_command(name), "commands", None)
        yield from ((name, one) for one in inner) if inner else ((name,),)


@pytest.mark.parametrize("words", list(subcommands()), ids=" ".join)
def test_every_help_fits_a_screen_and_has_an_example(words, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys, "argv", ["search", *words, "--help"])
    with pytest.raises(SystemExit):
        app()
    out = capsys.readouterr().out
    assert len(out.splitlines()) <= 50
    assert "python -m search" in out.partition("Options")[0]


def test_every_document_is_linked_from_the_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in DOCUMENTS[1:]:
        assert f"docs/{path.name}" in readme


def test_every_file_for_a_cluster_is_explained_and_calls_the_program():
    page = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    for path in STARTERS:
        assert f"docs/cluster/{path.name}" in page
        assert started(path)


@pytest.mark.parametrize("path", [p for p in STARTERS if p.suffix == ".sh"], ids=lambda p: p.name)
def test_every_script_for_a_cluster_can_be_parsed(path):
    shell = shutil.which("bash")
    if shell is None:
        pytest.skip("there is no bash")
    done = subprocess.run([shell, "-n", str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_ray_accepts_the_file_for_its_launcher():
    util = pytest.importorskip("ray.autoscaler._private.util", reason="ray is not installed")
    settings = yaml.safe_load((ROOT / "docs" / "cluster" / "ray-up.yaml").read_text())
    prepared = util.prepare_config(settings)
    util.validate_config(prepared)
    assert prepared["max_workers"] == len(settings["provider"]["worker_ips"])


def test_the_job_for_kubernetes_fits_together():
    path = ROOT / "docs" / "cluster" / "rayjob.yaml"
    spec = yaml.safe_load(path.read_text(encoding="utf-8"))["spec"]
    cluster = spec["rayClusterSpec"]
    assert cluster["authOptions"] == {"mode": "token"}
    assert f"ray=={cluster['rayVersion']}" in (ROOT / "constraints.txt").read_text()
    (workers,) = cluster["workerGroupSpecs"]
    assert f"--nodes {workers['replicas'] + 1} " in spec["entrypoint"]
    for group in (cluster["headGroupSpec"], workers):
        pod = group["template"]["spec"]
        volumes = {volume["name"] for volume in pod["volumes"]}
        for container in (*pod["initContainers"], *pod["containers"]):
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
            assert "/" not in container["image"], "an image of a registry that we do not know"


def test_no_secret_stands_in_a_file_for_a_cluster():
    for path in STARTERS:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"RAY_AUTH_TOKEN=[\"']?[0-9A-Za-z]", text)
        assert "set -x" not in text


@pytest.mark.slow
def test_the_tutorial_runs_from_top_to_bottom(tmp_path):
    tutorial = ROOT / "docs" / "tutorial.md"
    (tmp_path / "photos").mkdir()
    for number, name in enumerate(("astronaut", "coffee", "chelsea")):
        photo = Image.fromarray(getattr(skimage.data, name)()[:160, :160])
        photo.save(tmp_path / "photos" / f"{number}.png")
    photo.save(tmp_path / "photo.png")
    (settings,) = blocks(tutorial, "toml")
    (tmp_path / "settings.toml").write_text(settings)
    environment = {**os.environ, **SMALL, "PYTHONPATH": str(ROOT)}
    for text in blocks(tutorial, "sh"):
        for line in commands(text):
            words = [sys.executable, *shlex.split(line.replace(*SMALLER))[1:]]
            done = subprocess.run(
                words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600
            )
            assert done.returncode == 0, f"{line}\n{done.stderr}"
    assert (tmp_path / "comparison" / "index.html").is_file()
    pytest.importorskip("onnxruntime", reason="the extra is not installed: lightir[onnx]")
    for code in blocks(tutorial, "python"):
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=120)
    with Image.open(tmp_path / "restored.png") as restored:
        assert restored.size == (320, 320)
