"""Everything that decides a run, as one frozen value of six parts; saved whole in the run folder.

A field here is the only declaration of a setting: its flag of `run`, its environment variable, its
key in a file, its line in `--help` and its check all come from the type and the description.
"""

from __future__ import annotations

import math
import os
import platform
import re
from collections.abc import Mapping
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from lightir_core.errors import SearchError, nearest
from results.run import read_config

Entry = TypeVar("Entry")

LIBRARIES = ("lightir", "torch", "optuna", "torch-pruning", "numpy", "einops")

TRIALS_SHARE = 0.5
"""Share of the time limit for search and published systems; the rest is for training on, pruning
and the report."""

PRESETS_SHARE = 0.2
"""Share of the time limit, out of that one, for published systems that are trained too."""

GONE = {
    "bank_steps": "there is no weight bank any more: inherited weights did not rank candidates",
}
"""Settings of earlier runs that decide nothing now, and why."""


def _several(value: Any) -> Any:  # noqa: ANN401  whatever stands in a file; checked afterwards
    """Return one folder, or none, as a tuple: earlier runs have written it so."""
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else value


class _Part(BaseModel):
    """Settings that belong together; each is checked when it is made."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class DataSettings(_Part):
    """What is restored, and the images that networks learn from."""

    task: str = Field(
        default="sr-x2", description="What the networks restore, such as sr-x2 or denoise."
    )
    folders: Annotated[tuple[str, ...], BeforeValidator(_several)] = Field(
        default=(),
        alias="data",
        description="Folder of training images, with a weight as in photos:2; may be repeated. "
        "Without any, photographs that come with the program are used.",
    )
    val: str | None = Field(
        default=None,
        description="Folder of validation images; without it some of the training images are "
        "held out.",
    )


class SearchSettings(_Part):
    """Which networks are looked for, how, and for how long."""

    budget: str = Field(
        default="400k",
        description="Hard limits on what a network costs, such as params=400k,macs=30G.",
    )
    fill: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Use the first limit of the budget up to this share, as 5%.",
    )
    at: str | None = Field(
        default=None,
        description="Output size at which limits hold, as WIDTHxHEIGHT; may be repeated. Without "
        "any it is the task's usual one.",
    )
    objectives: tuple[str, ...] = Field(
        default=("psnr", "macs"),
        description="What the search optimises: some of psnr, ssim, macs, params, memory, latency.",
    )
    space: str = Field(
        default="default", description="Search space: a name that `spaces` lists, or a file."
    )
    only: tuple[str, ...] = Field(
        default=(),
        description="Cut a dimension of the space down, as window=8x8,4x16; may be repeated.",
    )
    strategy: str = Field(
        default="nsga2",
        description="How candidates are proposed, such as nsga2, tpe, gp or random.",
    )
    evaluator: str = Field(
        default="train",
        description="How candidates are scored: train, zero-cost or zero-cost:PROXY.",
    )
    trials: int = Field(default=16, ge=1, description="Number of candidates to train.")
    generation: int = Field(
        default=8, ge=2, description="Candidates proposed together, without each other's scores."
    )
    patience: int = Field(
        default=0,
        ge=0,
        description="End after so many trials without gain for the front; 0 never does.",
    )
    fidelity: str = Field(
        default="none",
        description="Stop candidates that do badly on the way: none, asha or hyperband, with "
        "--eta and --rung.",
    )
    eta: int = Field(default=3, ge=2, description="About one in so many candidates passes a rung.")
    rung: int = Field(default=0, ge=0, description="Steps of the lowest rung; 0 is steps/eta.")
    presets: bool = Field(
        default=False, description="Also train the published systems, shrunk to the budget."
    )
    time_s: float = Field(
        default=600.0,
        ge=0,
        description="Time limit of the whole run, as 90s, 10min or 2h; 0 is none.",
    )
    seed: int = Field(
        default=0, ge=0, lt=2**32, description="Number that decides all that is random."
    )

    @property
    def trials_s(self) -> float:
        """Return after how many seconds no trial and no published system starts; inf: no limit."""
        return TRIALS_SHARE * self.time_s if self.time_s else math.inf

    @property
    def search_s(self) -> float:
        """Return after how many seconds no trial starts; infinite if there is no limit."""
        share = TRIALS_SHARE - PRESETS_SHARE if self.presets else TRIALS_SHARE
        return share * self.time_s if self.time_s else math.inf


class TrainingSettings(_Part):
    """How candidates are trained, and how the best of them are trained on."""

    recipe: str = Field(
        default="proxy", description="How candidates are trained: proxy, standard, full, or a file."
    )
    steps: int = Field(
        default=0,
        ge=0,
        description="Training steps of a candidate; 0 is as many as the recipe has.",
    )
    finish_recipe: str = Field(
        default="finish",
        description="How finalists and pruned networks are trained on; see --recipe.",
    )
    finish_steps: int = Field(
        default=0,
        ge=0,
        description="Further training steps of these; 0 is as many as the recipe has.",
    )
    finalists: int = Field(
        default=2, ge=1, description="Number of the front's best members that are trained on."
    )
    keep_s: float = Field(
        default=30.0,
        ge=0,
        description="Seconds between two checkpoints of a running training; 0 keeps none.",
    )
    launch_mode: Literal["eager", "compiled", "graphed"] = Field(
        default="eager",
        alias="launch",
        description="How a step's kernels are launched: eager one by one, graphed in a CUDA "
        "graph, compiled by torch.compile; `cluster calibrate` compares them.",
    )


class CompressionSettings(_Part):
    """How far over budget the search may go, and how much pruning takes away."""

    prune_from: float = Field(
        default=1.25,
        ge=1,
        le=4,
        description="Propose networks up to so many times the budget, to be pruned until they "
        "keep it; --prune is for those within.",
    )
    prune: float = Field(
        default=0.25,
        gt=0,
        lt=1,
        description="Share of the parameters that is pruned if no finalist is over budget.",
    )


class MachineSettings(_Part):
    """Where networks are trained, and how many at once."""

    device: str = Field(
        default="auto", description="Where networks are trained: auto, cpu or cuda."
    )
    workers: int = Field(
        default=0,
        ge=0,
        description="Trainings that run at once; 0 is one per core, or one for a GPU, or as many "
        "as a cluster has room for.",
    )
    engine: Literal["local", "ray"] = Field(
        default="local",
        description="What runs the trainings: this machine, or a Ray cluster with the options "
        "below, --keep and --ray-dashboard.",
    )


class ClusterSettings(_Part):
    """Which cluster is used, and what a training takes of it."""

    address: str | None = Field(
        default=None,
        description="Cluster's address: auto, or HOST:PORT; without it one starts here.",
    )
    cpus_per_trial: float = Field(
        default=1.0, gt=0, description="Cores that a training takes on the cluster."
    )
    gpus_per_trial: float = Field(
        default=0.0,
        ge=0,
        description="GPUs that a training takes on the cluster, as 1 or 0.5; --cpus-per-trial "
        "sets its cores.",
    )
    storage: str | None = Field(
        default=None,
        description="Where the cluster keeps checkpoints: a folder that all nodes see, or an "
        "address such as s3://bucket/runs.",
    )
    ray_dashboard: bool = Field(
        default=False, description="Start Ray's dashboard, if the cluster is started here."
    )


class SearchConfig(_Part):
    """The settings of a run.

    They may be given flat, as `SearchConfig(budget="400k", trials=8)`: each goes to its part.
    """

    data: DataSettings = DataSettings()
    search: SearchSettings = SearchSettings()
    training: TrainingSettings = TrainingSettings()
    compression: CompressionSettings = CompressionSettings()
    machine: MachineSettings = MachineSettings()
    cluster: ClusterSettings = ClusterSettings()

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401  each part checks its own
        """Take parts by name, or single settings by their flat names."""
        values: dict[str, Any] = {}
        for name, value in settings.items():
            if name in PARTS and isinstance(value, _Part | Mapping):
                values[name] = value
            elif name in SETTINGS:
                values.setdefault(SETTINGS[name][0], {})[name] = value
            else:
                values[name] = value  # refused as unknown
        super().__init__(**values)

    def flat(self) -> dict[str, Any]:
        """Return every setting by its flat name, as config.json keeps them."""
        return {name: getattr(getattr(self, part), field) for name, (part, field) in _ITEMS}

    def replace(self, **settings: Any) -> SearchConfig:  # noqa: ANN401  checked as in a new one
        """Return these settings with some changed, given by their flat names."""
        return SearchConfig(**{**self.flat(), **settings})


PARTS: dict[str, type[BaseModel]] = {
    "data": DataSettings,
    "search": SearchSettings,
    "training": TrainingSettings,
    "compression": CompressionSettings,
    "machine": MachineSettings,
    "cluster": ClusterSettings,
}

SETTINGS: dict[str, tuple[str, str]] = {
    field.alias or name: (part, name)
    for part, kind in PARTS.items()
    for name, field in kind.model_fields.items()
}
"""Flat name of a setting, as flags, files and variables have it -> its part and field."""

_ITEMS = tuple(SETTINGS.items())


def config_from_plain(values: Mapping[str, Any]) -> SearchConfig:
    """Return the settings that a dict holds by their flat names; those of `GONE` are left out.

    Raises:
        SearchError: an unknown key (the nearest is named) or an impossible value.
    """
    for key in values:
        if key not in SETTINGS and key not in GONE:
            raise SearchError(f"unknown setting {key!r}{nearest(key, SETTINGS)}")
    try:
        return SearchConfig(**{key: value for key, value in values.items() if key not in GONE})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"][1:])
        raise SearchError(f"{name}={first['input']!r}: {first['msg']}") from None


def describe(config: SearchConfig) -> dict[str, Any]:
    """Return the part of `config.json` that the settings and this machine's libraries decide."""
    return {"config": config.flat(), "versions": versions()}


def load_config(folder: Path) -> SearchConfig:
    """Read the settings of the run in `folder`.

    Raises:
        LightIRError: no run there, a damaged one, or settings that this version does not know.
    """
    # runs of before this setting proposed nothing over budget
    return config_from_plain({"prune_from": 1.0, **read_config(folder).get("config", {})})


def cpu_count() -> int:
    """Return how many processors this process may use, on whatever system it runs."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    count = getattr(os, "process_cpu_count", None) or os.cpu_count  # Python 3.13 has the former
    return count() or 1


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that decide a result."""
    numbers = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            numbers[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            numbers[library] = "not installed as a package"
    return numbers


def known(what: str, name: str, table: Mapping[str, Entry]) -> Entry:
    """Return the entry of a table called `name`.

    Raises:
        SearchError: there is none; the nearest is named.
    """
    if name not in table:
        raise SearchError(
            f"{what} {name!r} is not known{nearest(name, table)}; use one of {', '.join(table)}"
        )
    return table[name]


def default_folder(config: SearchConfig) -> Path:
    """Return a new folder under runs/, named after the task, the budget and the time."""
    budget = re.sub(r"[^a-zA-Z0-9.]+", "-", config.search.budget)
    task = re.sub(r"[^a-zA-Z0-9.]+", "-", config.data.task)
    return Path("runs") / f"{task}-{budget}-{datetime.now():%Y%m%d-%H%M%S}"
