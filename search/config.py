"""Everything that decides a run, as one frozen value of six parts; saved whole in the run folder.

A field here is the only declaration of a setting: its flag of `run`, its environment variable, its
key in a file, its line in `--help` and its check all come from the type and the description.
"""

from __future__ import annotations

import math
import os
import platform
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from budgets.budget import parse_share
from lightir_core.errors import LightIRError, SearchError, nearest
from results.run import read_config

Entry = TypeVar("Entry")

LIBRARIES = ("lightir", "torch", "optuna", "torch-pruning", "numpy", "einops")

TRIALS_SHARE = 0.4
"""Share of the time limit for search and published systems; the rest is for training on, pruning
and the report."""

PRESETS_SHARE = 0.15
"""Share of the time limit, out of that one, for published systems that are trained too."""

CUSTOM = "own_training"
"""In config.json: candidates were scored by a program of the user's own."""

GONE = {"bank_steps": "there is no weight bank any more: inherited weights did not rank candidates"}
"""Settings of earlier runs that decide nothing now, and why."""

SECONDS = {"s": 1, "min": 60, "m": 60, "h": 3600}


def _split(by: str) -> BeforeValidator:
    """Read one text as several parts, joined by `by`; nothing is none, and a list stays one."""

    def split(value: Any) -> Any:  # noqa: ANN401  whatever stands in a file; checked afterwards
        if isinstance(value, str):
            parts = tuple(part.strip() for part in value.split(by))
            return parts if by == "," else tuple(filter(None, parts))
        return () if value is None else value

    return BeforeValidator(split)


def parse_duration(text: str) -> float:
    """Return the seconds that ``90s``, ``10min``, ``2h`` or a bare number of seconds means.

    Raises:
        SearchError: another form, or a negative time.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|min|m|h)?\s*", text)
    if match is None:
        raise SearchError(f"time {text!r} is not a duration; write 90s, 10min or 2h, or 0 for none")
    return float(match[1]) * SECONDS[match[2] or "s"]


def _from_text(parse: Callable[[str], Any]) -> BeforeValidator:
    """Read a text by `parse`; numbers stay what they are."""
    return BeforeValidator(lambda value: parse(value) if isinstance(value, str) else value)


def _joined(value: Any) -> Any:  # noqa: ANN401  whatever stands in a file; checked afterwards
    """Join several sizes to one text."""
    return ",".join(map(str, value)) or None if isinstance(value, list | tuple) else value


class _Part(BaseModel):
    """Settings that belong together; each is checked when it is made."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class DataSettings(_Part):
    """What is restored, and the images that networks learn from."""

    task: str = Field(default="sr-x2", description="Restore this, as sr-x2, denoise or derain.")
    folders: Annotated[tuple[str, ...], _split(";")] = Field(
        default=(),
        alias="data",
        description="Train on these images, N times as often; else embedded ones.",
        json_schema_extra={"repeated": True, "metavar": "DIR[:N]"},
    )
    val: str | None = Field(
        default=None, description="Validate on these images; else hold some of --data out."
    )


class SearchSettings(_Part):
    """Which networks are looked for, how, and for how long."""

    budget: str = Field(
        default="400k", description="Keep all networks within it, as params=400k,macs=9G."
    )
    fill: Annotated[float, _from_text(parse_share)] = Field(
        default=0.0, ge=0, lt=1, description="Come as near to the first limit as this, 5% or so."
    )
    at: Annotated[str | None, BeforeValidator(_joined)] = Field(
        default=None,
        description="Hold limits at this output size; repeatable.",
        json_schema_extra={"repeated": True, "metavar": "WxH"},
    )
    objectives: Annotated[tuple[str, ...], _split(",")] = Field(
        default=("psnr", "macs"), description="Optimise these, or params, memory, latency."
    )
    space: str = Field(
        default="default", description="Search this space: a file, or one of `spaces`."
    )
    only: Annotated[tuple[str, ...], _split(";")] = Field(
        default=(),
        description="Cut a dimension down, as window=8x8,4x16; repeatable.",
        json_schema_extra={"repeated": True},
    )
    strategy: str = Field(
        default="guided", description="Propose by guided, nsga2, tpe, gp or random."
    )
    evaluator: str = Field(
        default="train", description="Score by train, zero-cost or zero-cost:PROXY."
    )
    start: Literal["presets", "none"] = Field(
        default="presets",
        description="Begin with the published designs: presets or none.",
        json_schema_extra={"hidden": True},
    )
    trials: int = Field(
        default=0,
        ge=0,
        description="Train so many candidates, 0: as time allows; see --start.",
    )
    generation: int = Field(
        default=8,
        ge=2,
        description="Propose so many candidates together, without each other's scores.",
        json_schema_extra={"hidden": True},
    )
    patience: int = Field(default=0, ge=0, description="End after so many trials without gain.")
    fidelity: str = Field(
        default="none", description="Stop bad trials by asha, hyperband; see --eta, --rung."
    )
    eta: int = Field(
        default=3,
        ge=2,
        description="Let about one in so many candidates pass a rung.",
        json_schema_extra={"hidden": True},
    )
    rung: int = Field(
        default=0,
        ge=0,
        description="Put the lowest rung at so many steps; 0 means steps/eta.",
        json_schema_extra={"hidden": True},
    )
    presets: bool = Field(
        default=False, description="Also train the published systems, shrunk to the budget."
    )
    time_s: Annotated[float, _from_text(parse_duration)] = Field(
        default=600.0, ge=0, description="Be done after 90s, 10min, 2h or so; 0 means no limit."
    )
    seed: int = Field(default=0, ge=0, lt=2**32, description="Decide all that is random by this.")

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
        default="proxy", description="Train by proxy, standard, full, or a file's recipe."
    )
    steps: int = Field(default=0, ge=0, description="Train for so many steps; 0: the recipe's.")
    finish_recipe: str = Field(
        default="finish", description="Train finalists and the pruned on by this."
    )
    finish_steps: int = Field(
        default=0, ge=0, description="Train them for so many steps; 0: what --time allows."
    )
    finalists: int = Field(
        default=0, ge=0, description="Train so many of the front on; 0: 2, or 1 at a time."
    )
    keep_s: float = Field(
        default=30.0,
        ge=0,
        description="Keep a running training every so many seconds; 0 means never.",
        json_schema_extra={"hidden": True},
    )
    launch_mode: Literal["eager", "compiled", "graphed"] = Field(
        default="eager",
        alias="launch",
        description="Launch a step's kernels eager (one by one), graphed or compiled; "
        "`cluster calibrate` compares them.",
        json_schema_extra={"hidden": True},
    )


class CompressionSettings(_Part):
    """How far over budget the search may go, and how much pruning takes away."""

    prune_from: float = Field(
        default=1.25, ge=1, le=4, description="Propose up to so many times the budget; see --prune."
    )
    prune: float = Field(
        default=0.25,
        gt=0,
        lt=1,
        description="Prune this share of the parameters if no finalist is over budget.",
        json_schema_extra={"hidden": True},
    )


class MachineSettings(_Part):
    """Where networks are trained, and how many at once."""

    device: str = Field(default="auto", description="Train on auto, cpu or cuda.")
    workers: int = Field(
        default=0,
        ge=0,
        description="Run so many trainings at once; 0: one a core, or a GPU.",
    )
    engine: Literal["local", "ray"] = Field(
        default="local", description="Train local, or on ray; see --keep, --ray-dashboard."
    )


class ClusterSettings(_Part):
    """Which cluster is used, and what a training takes of it."""

    address: str | None = Field(
        default=None, description="Use the cluster at auto or HOST:PORT; else start one here."
    )
    cpus_per_trial: float = Field(
        default=1.0,
        gt=0,
        description="Give each training so many cores of the cluster.",
        json_schema_extra={"hidden": True},
    )
    gpus_per_trial: float = Field(
        default=0.0, ge=0, description="Give each training so many; see --cpus-per-trial."
    )
    storage: str | None = Field(
        default=None, description="Keep the cluster's checkpoints in a folder, or s3://bucket."
    )
    ray_dashboard: bool = Field(
        default=False,
        description="Start Ray's dashboard, if the cluster is started here.",
        json_schema_extra={"hidden": True},
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
        if isinstance(cause := first.get("ctx", {}).get("error"), LightIRError):
            raise cause from None
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
    # runs of before these settings proposed nothing over budget, and no published design
    then = {"prune_from": 1.0, "start": "none"}
    return config_from_plain({**then, **read_config(folder).get("config", {})})


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


def format_size(points: int) -> str:
    """Return a number of points as digits while that can be read, else as a power of ten."""
    digits = str(points)
    return f"{points:,}" if len(digits) <= 9 else f"{digits[0]}.{digits[1]}e{len(digits) - 1}"


def default_folder(config: SearchConfig) -> Path:
    """Return a new folder under runs/, named after the task, the budget and the time."""
    budget = re.sub(r"[^a-zA-Z0-9.]+", "-", config.search.budget)
    task = re.sub(r"[^a-zA-Z0-9.]+", "-", config.data.task)
    return Path("runs") / f"{task}-{budget}-{datetime.now():%Y%m%d-%H%M%S}"


def cpu_count() -> int:
    """Return how many processors this process may use, on whatever system it runs."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    count = getattr(os, "process_cpu_count", None) or os.cpu_count  # Python 3.13 has the former
    return count() or 1
