"""Wrong usage: exit status 2, a sentence that helps, no traceback, nothing lost, nothing left."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from lightir_core.architecture import (
    Architecture,
    BlockConfig,
    ResidualConvolutionConfig,
    StageConfig,
)
from lightir_core.checkpoints import save_model
from lightir_core.network import build

EARLIER = Path(__file__).parents[1] / "data" / "earlier_runs" / "finished"

BLOCK = BlockConfig(mixer=ResidualConvolutionConfig(), norm="none")
SMALL = Architecture(width=4, scale=2, stages=(StageConfig(blocks=(BLOCK,)),))

# arguments of `run` -> what is said about them; {} is the folder that the test works in
RUN = {
    "--budget 400q": "budget '400q': params: count '400q' has the unknown unit 'q'",
    "--budget -1": "budget '-1': params: count '-1' is not a positive number; write 400k",
    "--budget 0": "budget '0': params: count '0' is zero",
    "--budget=": "budget '' has an empty limit; write 400k",
    "--budget 10": r"budget '10' cannot be met in space 'small': the smallest network it holds "
                   r"costs params=[\d_]+",
    "--budget params=40k,macs=1M": r"cannot be met .* costs params=[\d_]+,macs=[\d_]+",
    "--budget flops=3G": "unknown axis 'flops'; .*axes are params, macs",
    "--budget 40k,params=50k": "limits params twice",
    "--task sr-x9": "there is no task 'sr-x9'; did you mean 'sr-x",
    "--task denoise:loud": "sigma 'loud' is no number",
    "--space smal": "space 'smal' is not known; did you mean 'small'",
    "--space {}/nothing.yaml": r"nothing.yaml' is not known; use one of default, full, small",
    "--space {}/bad.yaml": "bad.yaml: unknown key 'netwrok'; did you mean 'network'",
    "--only windov=8x8": "no dimension 'windov' .*; did you mean 'window'",
    "--only window=9x9": "window has no value '9x9'",
    "--fix heads=4 --fix width=30": "width has no value '30'",
    "--evaluator trian": "evaluator 'trian' is not known; did you mean 'train'",
    "--strategy nsga": "strategy 'nsga' is not known; did you mean 'nsga",
    "--objectives psnr,flops": "objective 'flops' is not known; use psnr, params, macs",
    "--objectives psnr,psnr": "must be at least one, each named once",
    "--objectives=": "objective '' is not known",
    "--device gpu": "device 'gpu' is not known; use auto, cpu or cuda",
    "--trials -1": "trials=-1: Input should be greater than or equal to 0",
    "--trials many": "Invalid value for '--trials'",
    "--steps -1": "steps=-1",
    "--recipe prxy": "recipe 'prxy' is not known; did you mean 'proxy'",
    "--recipe {}/no.toml": "cannot read recipe '.*no.toml': No such file",
    "--recipe {}/bad.toml": "recipe '.*bad.toml': unknown key 'stesp'; did you mean 'steps'",
    "--recipe {}/zero.toml": "recipe 'zero': steps=0; use >= 1",
    "--finish-recipe {}/negative.toml": "recipe 'negative': lr=-0.001; use a number > 0",
    "--finish-recipe {}/wide.toml": (
        r"a patch of recipe 'wide' \(patch_px=400\) takes 400x400 .* is .*\.png with \d+x\d+ px"
    ),
    "--finish-steps -1": "finish_steps=-1",
    "--finalists -1": "finalists=-1",
    "--prune 1": r"prune=1\.0: Input should be less than 1",
    "--prune 0": r"prune=0\.0",
    "--seed -1": "seed=-1",
    "--workers -2": "workers=-2",
    "--time 3days": "time '3days' is not a duration; write 90s, 10min or 2h",
    "--at 1280": "size '1280' is not WIDTHxHEIGHT",
    "--at 0x720": "size 0x720 has a side of 0 pixels",
    "--data {}/missing": "missing: there is no such folder",
    "--data {}/empty": "empty: no usable image in this folder",
    "--data {}/words": "words: no usable image in this folder: a.png: skipped, not a PNG, JPEG",
    "--data {}/words/a.png": "a.png: this file is no packed data set; give a folder of images",
    "--data {}/one": r"only one image \(a.png\) for training and validation; .*--val",
    "--data {}/tiny": (
        r"every image is too small: a patch of recipe 'proxy' \(patch_px=16\) takes 16x16 .* is .* "
        r"with 10x10 px"
    ),
    "--data {}/two --data {}/missing": "missing: there is no such folder",
    "--data {}/two --data {}/two": "two is given twice; write .*two:2 to draw from it twice",
    "--data {}/two:0": "two:0: the weight 0 is no positive number; write 2",
    "--data {}/two:-1.5": "the weight -1.5 is no positive number",
    "--data {}/two:many": "two:many: there is no such folder",
    "--data {}/quarters": "lq/a.png is 20x20 px and gt/a.png is 80x80 px; task sr-x2 expects 1/2",
    "--data {}/quarters --task derain": "gt/a.png is 80x80 px; task derain expects the same size",
    "--data {}/unpaired --task derain": "lq and gt look like pairs, but no name occurs in both",
    "--channels 2": "channels=2 is not possible; use 1 for gray or 3 for colour",
    "--channels 1 --task demosaic": "demosaic fills in missing colours; a gray image has none",
    "--task demosaic,gray": "demosaic fills in missing colours",
    "--val {}/missing": "missing: there is no such folder",
    "--val {}/words": "words: no usable image",
    "--data {}/two --val {}/two": "--data and --val are the same folder",
    "--out {}/two": "two exists already; choose another --out, or continue it with",
    "--out {}/words/a.png": "a.png exists already",
    "--out {}/words/a.png/run": "cannot make run folder .*: Not a directory; choose another --out",
    "--out /proc/run": "cannot make run folder /proc/run: .*; choose another --out",
    "--bugdet 400k": "No such option: --bugdet",
}  # fmt: skip

USUAL = "run --space small --budget 40k --trials 2 --steps 2 --device cpu --out {}/run"


def usual(arguments):
    """A whole line, with images that can be trained on unless it names its own."""
    return f"{USUAL}{'' if '--data ' in arguments else ' --data {}/two'} {arguments}"


RESUME = {
    "{}/missing": "missing",
    "{}/empty": "empty has no config.json .*; name a folder that a search made",
    "{}/two": "two has no config.json",
    "{}/words/a.png": "cannot read the configuration of a run .*: Not a directory",
    "{}/no-journal": "no-journal is not a run folder: study.journal is missing",
    "{}/no-config": "no-config has no config.json",
    "{}/bad-config": "config.json is not JSON",
    "{}/odd-config": "unknown setting 'sharpness'",
    "{}/future-config": "config.json has version 99; this LightIR reads version 1; update LightIR",
    "{}/bad-journal": "study.journal is damaged or not the journal of a LightIR run",
}

COST = {
    "{}/missing.json": "cannot read architecture .*missing.json: No such file",
    "{}/empty": "cannot read architecture .*architecture.json: No such file",
    "{}/words/a.png": "a.png: not JSON",
    "swinir": "cannot read architecture swinir: No such file .*; did you mean 'swinir-light'",
    "nope": "cannot read architecture nope: No such file .*; presets: swinir-light, ",
    "{}/binary.json": "cannot read architecture .*binary.json: not text",
    "{}/list.json": "list.json: not an architecture: expected an object with format=",
    "{}/unknown-key.json": "unknown-key.json: stages.0.blcoks: unknown key 'blcoks'; did",
    "{}/future.json": "future.json: architecture version 99 is not known; .*update LightIR",
    "{}/heads.json": r"heads.json: .*num_heads=3 does not divide width=4; use one of \[1, 2, 4\]",
    "{}/empty-stage.json": "a stage has no blocks; give it at least one",
    "{}/model --at big": "size 'big' is not WIDTHxHEIGHT",
    "{}/model --at 0x0": "size 0x0 has a side of 0 pixels",
}

RESTORE = {
    "{}/missing {}/one/a.png {}/o.png": "missing holds no architecture.json",
    "{}/empty {}/one/a.png {}/o.png": "empty holds no architecture.json",
    "{}/model {}/missing.png {}/o.png": "missing.png: there is no such file",
    "{}/model {}/words/a.png {}/o.png": "a.png: not a PNG, JPEG, WebP, TIFF or BMP image",
    "{}/model {}/words {}/o": "words: no usable image in this folder",
    "{}/model {}/one/a.png {}/o.psd": r"o.psd: cannot write '.psd'; name an image that",
    "{}/model {}/one/a.png {}/o": "o: there is no such folder; name an image that ends",
    "{}/model {}/one/a.png {}/words/a.png/o.png": "cannot write .*o.png: (Not|File)",
    "{}/model {}/one/a.png {}/one/a.png": "would overwrite its own input",
    "{}/model {}/two {}/two": "would overwrite its own input",
    "{}/model {}/twins {}/o": "a.bmp and a.png would both become a.png",
    "{}/model {}/two {}/words/a.png": "a.png is a file; a folder of images needs a folder",
    "{}/model {}/one/a.png {}/o.png --tile 8": "--tile 8 is too small",
    "{}/model {}/one/a.png {}/o.png --device tpu": "device 'tpu' is not known",
    "{}/torn-model {}/one/a.png {}/o.png": "weights.safetensors is not a whole safetensors file",
    "{}/other-weights {}/one/a.png {}/o.png": "does not fit the network: .*of another shape, first",
    "{}/odd-model {}/one/a.png {}/o.png": "architecture.json: .*unknown key 'blcoks'",
    "{}/binary-model {}/one/a.png {}/o.png": "architecture.json: 'utf-8' codec can't decode",
    "{}/four-model {}/one/a.png {}/o.png": "four-model takes images of 4 channels",
}

EVALUATE = {
    "{}/missing": "missing holds no architecture.json",
    "swinir-light": "swinir-light is a preset without weights; give its published file with --w",
    "swinir-ligth --weights {}/words/a.png": "no published system 'swinir-ligth'; did you mean 'sw",
    "swinir-light --weights {}/missing.pth": "there is no weights file .*missing.pth",
    "swinir-light --weights {}/words/a.png": "a.png is not a weights file that can be read safely",
    "{}/model --task sr-x4": "model enlarges by 2, but task 'sr-x4' needs 4; name its own task",
    "{}/model --task denoise": "model enlarges by 2, but task 'denoise:25' needs 1",
    "{}/model --data {}/words": "words: no usable image",
    "{}/model --data {}/quarters": "task sr-x2 expects 1/2 of it",
    "{}/four-model": "four-model takes images of 4 channels",
    "{}/same-size-model --task demosaic --self-ensemble": "a turned mosaic is another mosaic",
}

DATA = {
    "check {}/missing": "missing: there is no such folder",
    "check {}/two --task sr-x9": "no task 'sr-x9'; did you mean 'sr-x",
    "check {}/two --channels 4": "channels=4 is not possible",
    "pack {}/two": "Missing option '--out'",
    "pack {}/missing --out {}/new.pack": "missing: there is no such folder",
    "pack {}/words --out {}/new.pack": "words: no usable image in this folder",
    "pack {}/quarters --out {}/new.pack": "task sr-x2 expects 1/2 of it",
    "pack {}/two --out {}/words/a.png": "a.png exists already and is no pack; choose another --out",
    "pack {}/two --out {}/two": "two exists already and is no pack",
    "pack {}/two --out /proc/new.pack": "cannot write /proc/new.pack: ",
}

OTHER = {
    "searhc": "No such command 'searhc'",
    "run extra": "unexpected extra argument",
    "resume": "Missing argument 'RUN'",
    "report {}/empty": "empty",
    "report {}/no-journal": "study.journal is missing",
    "spaces smal": "space 'smal' is not known; did you mean 'small'",
}

LINES = (
    {usual(arguments): message for arguments, message in RUN.items()}
    | {f"resume {arguments}": message for arguments, message in RESUME.items()}
    | {f"cost {arguments}": message for arguments, message in COST.items()}
    | {f"restore {arguments}": message for arguments, message in RESTORE.items()}
    | {f"evaluate {arguments}": message for arguments, message in EVALUATE.items()}
    | {f"data {arguments}": message for arguments, message in DATA.items()}
    | OTHER
)

BY_COMMAND = ("cost {}/heads.json",)
"""A line that the quick tests give to the real command too, which differs in its start alone."""

SOME_BY_COMMAND = tuple(LINES)[::20]
"""The same for the slow tests."""


def write_architectures(folder):
    plain = SMALL.to_plain()

    def changed(**changes):
        return json.dumps({**plain, **changes})

    head = {"kind": "window_attention", "num_heads": 3, "window_size": [4, 4]}
    stage = {**plain["stages"][0], "blcoks": []}
    files = {
        "binary.json": b"\xff\xfe\x00",
        "list.json": b"[]",
        "unknown-key.json": changed(stages=[stage]).encode(),
        "future.json": changed(version=99).encode(),
        "heads.json": changed(stages=[{"blocks": [{"mixer": head}]}]).encode(),
        "empty-stage.json": changed(stages=[{"blocks": []}]).encode(),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)


def write_models(folder):
    save_model(folder / "model", build(SMALL))
    for name in ("torn-model", "other-weights", "odd-model", "binary-model"):
        shutil.copytree(folder / "model", folder / name)
    weights = folder / "torn-model" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-9])
    (folder / "other-weights" / "architecture.json").write_text(
        json.dumps({**SMALL.to_plain(), "width": 5})
    )
    shutil.copy(folder / "unknown-key.json", folder / "odd-model" / "architecture.json")
    shutil.copy(folder / "binary.json", folder / "binary-model" / "architecture.json")
    save_model(folder / "four-model", build(replace(SMALL, in_channels=4, out_channels=4)))
    save_model(folder / "same-size-model", build(replace(SMALL, scale=1)))


def write_images(folder, photograph):
    for name in ("empty", "words", "one", "tiny", "two", "twins", "quarters/lq", "quarters/gt",
                 "unpaired/lq", "unpaired/gt"):  # fmt: skip
        (folder / name).mkdir(parents=True)
    (folder / "words" / "a.png").write_text("this is no image")
    Image.fromarray(photograph()).save(folder / "one" / "a.png")
    for number, name in enumerate(("a.png", "b.png")):
        Image.fromarray(photograph(number)).save(folder / "two" / name)
        Image.fromarray(photograph(number, side=20)).save(folder / "tiny" / name)
    # a quarter of the sides: neither same-size nor x2
    Image.fromarray(photograph(side=20)).save(folder / "quarters" / "lq" / "a.png")
    Image.fromarray(photograph(side=80)).save(folder / "quarters" / "gt" / "a.png")
    Image.fromarray(photograph()).save(folder / "unpaired" / "lq" / "a.png")
    Image.fromarray(photograph()).save(folder / "unpaired" / "gt" / "b.png")
    for name in ("a.png", "a.bmp"):
        Image.fromarray(photograph()).save(folder / "twins" / name)


def write_runs(folder, finished):
    for name in ("no-journal", "no-config", "bad-config", "odd-config", "future-config",
                 "bad-journal"):  # fmt: skip
        (folder / name).mkdir()
        for file in ("config.json", "study.journal"):
            shutil.copy(finished / file, folder / name / file)
    (folder / "no-journal" / "study.journal").unlink()
    (folder / "no-journal" / "checkpoints").mkdir(exist_ok=True)  # it had got further than that
    (folder / "no-config" / "config.json").unlink()
    (folder / "bad-config" / "config.json").write_text("{")
    plain = json.loads((finished / "config.json").read_text())
    plain["config"]["sharpness"] = 3
    (folder / "odd-config" / "config.json").write_text(json.dumps(plain))
    (folder / "future-config" / "config.json").write_text(json.dumps({**plain, "version": 99}))
    lines = (finished / "study.journal").read_text().splitlines()
    lines[2] = "no journal line"
    (folder / "bad-journal" / "study.journal").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def place(tmp_path_factory, photograph):
    """A folder with everything that is wrong."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "bad.yaml").write_text("name: x\nnetwrok: {}\n")
    (folder / "bad.toml").write_text("stesp = 4\n")
    (folder / "zero.toml").write_text("steps = 0\n")
    (folder / "negative.toml").write_text("lr = -1e-3\n")
    (folder / "wide.toml").write_text("patch_px = 400\n")
    write_images(folder, photograph)
    write_architectures(folder)
    write_models(folder)
    write_runs(folder, EARLIER)
    return folder


def contents(folder):
    return {
        path.relative_to(folder): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
        if path.name != "run.lock"  # holds nothing but a process number
    }


def check(ended, message, place, before):
    assert ended.status == 2, ended.err
    assert re.search(message, ended.complaint), ended.err
    assert "Traceback" not in ended.err
    assert ended.out == ""
    assert contents(place) == before


def arguments_of(line, place):
    """Split before the place is filled in, whose name might hold a space."""
    return [word.replace("{}", str(place)) for word in line.split(" ")]


@pytest.mark.parametrize("line", LINES)
def test_wrong_usage(in_process, place, line):
    before = contents(place)
    check(in_process(*arguments_of(line, place)), LINES[line], place, before)


@pytest.mark.parametrize(
    "line",
    [*BY_COMMAND, *(pytest.param(line, marks=pytest.mark.slow) for line in SOME_BY_COMMAND)],
)
def test_wrong_usage_by_the_real_command(command, place, line, tmp_path):
    before = contents(place)
    check(command(*arguments_of(line, place), cwd=tmp_path), LINES[line], place, before)
    assert list(tmp_path.iterdir()) == []
