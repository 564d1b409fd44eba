"""A block needs its four places and nothing else: the example of the documentation is added."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "blocks.md"


def examples():
    """The pieces of code on the page: settings, module, line of the table."""
    blocks = re.findall(r"^   ```python\n(.*?)^   ```", PAGE.read_text("utf-8"), re.M | re.S)
    return [dedent(block) for block in blocks]


def inserted(path, before, text):
    source = path.read_text("utf-8")
    assert source.count(before) == 1, before
    path.write_text(source.replace(before, text + before), "utf-8")


def add_block(core):
    settings, module, line = examples()
    inserted(core / "block_config.py", "Mixer = ", f"{settings}\n\n")
    inserted(
        core / "block_config.py", "WindowAttentionConfig | Cascade", "NeighbourConvolutionConfig | "
    )
    (core / "blocks" / "neighbour_convolution.py").write_text(module, "utf-8")
    table = core / "blocks" / "__init__.py"
    module_name = "lightir_core.blocks.neighbour_convolution"
    inserted(table, "__all__", f"from {module_name} import NeighbourConvolution\n\n")
    inserted(table, "    config.WindowAttentionConfig:", f"    {line}")


@pytest.mark.slow
def test_the_four_places_are_enough(tmp_path):
    """The new block builds, is priced, drawn, described, searched, pruned, saved and exported."""
    core = tmp_path / "lightir_core"
    shutil.copytree(ROOT / "lightir_core", core, ignore=shutil.ignore_patterns("__pycache__"))
    add_block(core)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, ROOT / "tests" / "contracts" / "with_new_block.py", tmp_path / "model"],
        env=environment, capture_output=True, text=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "model" / "adopted").is_file()  # the end was reached
