"""What can be compressed: a member of a run's front, a model folder, or a preset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from lightir_core.checkpoints import load_model, load_weights
from lightir_core.errors import SearchError
from lightir_core.network import Network, build
from lightir_core.published.presets import PRESETS, preset
from lightir_core.published.weights import load_file
from results.findings import Findings, read_findings
from results.models import RESULT, ModelResult, load_result
from results.run import RunFolder
from search.config import load_config
from search.jobs import Source


@dataclass(frozen=True)
class Parent:
    """A network to compress, and what is known of it.

    Attributes:
        network: on the CPU, in eval mode.
        name: how to call it.
        source: task and images it was trained on; None where nobody said.
        trained: whether its weights are.
        trial: number of the trial it comes from, 0 otherwise.
        data: names and licences of the images it was trained on; empty where nobody said.
    """

    network: Network
    name: str
    source: Source | None = None
    trained: bool = True
    trial: int = 0
    data: Mapping[str, list[str]] = field(default_factory=dict[str, list[str]])


def open_parent(text: str, task: str | None, seed: int, weights: Path | None = None) -> Parent:
    """The network that `text` names.

    Args:
        text: a folder of a run, optionally with #TRIAL or #ID; a folder of a model; or a preset.
        task: what a preset restores.
        seed: of a preset's weights, if there are no others.
        weights: published ones of the preset.

    Raises:
        LightIRError: nothing of the kind is there, or it is damaged.
    """
    if weights is not None:
        network = load_file(text, weights)
        return Parent(network, text, Source(task=task) if task else None)
    if text in PRESETS:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = build(preset(text, task or "sr-x2")).eval()
        return Parent(network, text, trained=False)
    place, _, member = text.partition("#")
    if not Path(place).is_dir():
        raise SearchError(
            f"{place}: there is no such folder; name a run, a model folder or a preset "
            f"({', '.join(PRESETS)})"
        )
    if RunFolder(Path(place)).journal.is_file():
        return _of_run(Path(place), member)
    if member:
        raise SearchError(f"{place} is no run, so it has no #{member}; leave that out")
    return open_model(Path(place))


def open_model(folder: Path) -> Parent:
    """The network in a model folder; if the folder is one of a run, also what it was trained on.

    Raises:
        LightIRError: as `lightir_core.checkpoints.load_model`, or a damaged result.
    """
    network = load_model(folder)
    result = load_result(folder) if (folder / RESULT).is_file() else None
    run = folder.resolve().parent.parent
    source = None
    if RunFolder(run).journal.is_file():
        source = _source(run)
    elif result is not None and result.task:
        source = Source(task=result.task)
    if result is None:
        return Parent(network, folder.name, source)
    return Parent(network, folder.name, source, trial=result.trial, data=_data(result))


def _of_run(run: Path, member: str) -> Parent:
    findings = read_findings(run)
    result = _find(findings, member)
    if result is not None:
        network = load_model(RunFolder(run).model(result.id))
        return Parent(network, result.id, _source(run), trial=result.trial, data=_data(result))
    if not member:
        raise SearchError(f"{run} holds no finished network yet; name a trial such as {run}#0")
    for trial in findings.finished:
        if member in (str(trial.number), trial.architecture.id):
            weights = RunFolder(run).checkpoints / f"trial-{trial.number:05d}.safetensors"
            with torch.random.fork_rng(devices=[]):
                network = build(trial.architecture)
            load_weights(weights, network)
            name = trial.architecture.id
            data = findings.config.get("data", {})
            return Parent(network.eval(), name, _source(run), trial=trial.number, data=data)
    numbers = ", ".join(str(trial.number) for trial in findings.front)
    raise SearchError(
        f"{run} has no finished trial or model {member!r}; its front is made of trials {numbers}"
    )


def _find(findings: Findings, member: str) -> ModelResult | None:
    """The kept model that `member` names: by id, by trial, or the best if it names none."""
    if not member:
        return findings.best
    named = [model for model in findings.models if model.id == member]
    # of one trial the trained network, not what was pruned from it
    of_trial = [model for model in findings.models if str(model.trial) == member]
    found = named or sorted(of_trial, key=lambda model: model.kind == "pruned")
    return found[0] if found else None


def _data(result: ModelResult) -> Mapping[str, list[str]]:
    """What a result was trained on; if it was not after it was pruned, what its parent was."""
    return result.data if result.data.get("training") else result.compression.get("parent_data", {})


def _source(run: Path) -> Source:
    config = load_config(run)
    return Source(task=config.data.task, data=config.data.folders, val=config.data.val)
